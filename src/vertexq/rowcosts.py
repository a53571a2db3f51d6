"""What the rows that a better answer may still replace have cost, so that it can be taken back. No I/O.

A succeeded row is final and nearly every row is one, so this is small: it holds rows that were blocked, or
failed after Google had counted their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from vertexq.model import PUSD_PER_USD, Usage
from vertexq.results import Row


class RowCost(NamedTuple):
    """The tokens of one row and what they cost, in pico-dollars; None where no price was known."""

    prompt_tokens: int
    output_tokens: int
    thoughts_tokens: int
    cached_tokens: int
    total_tokens: int
    cost_pusd: int | None

    def taken_from(self, usage: Usage) -> Usage:
        """Return ``usage`` without this row."""
        unpriced_tokens = self.total_tokens if self.cost_pusd is None else 0
        return Usage(
            prompt_tokens=usage.prompt_tokens - self.prompt_tokens,
            output_tokens=usage.output_tokens - self.output_tokens,
            thoughts_tokens=usage.thoughts_tokens - self.thoughts_tokens,
            cached_tokens=usage.cached_tokens - self.cached_tokens,
            total_tokens=usage.total_tokens - self.total_tokens,
            unpriced_tokens=usage.unpriced_tokens - unpriced_tokens,
        )


def of_row(row: Row, *, priced: bool) -> RowCost | None:
    """Return what a row has been counted with; None when nothing of it was."""
    if row.prompt_tokens is None or (priced and row.cost_usd is None):
        return None
    return RowCost(
        row.prompt_tokens,
        row.output_tokens or 0,
        row.thoughts_tokens or 0,
        row.cached_tokens or 0,
        row.total_tokens or 0,
        None if row.cost_usd is None else round(row.cost_usd * PUSD_PER_USD),
    )


def encode(costs: Mapping[int, RowCost]) -> bytes:
    """Write the costs by row index; nothing for none."""
    return orjson.dumps([[index, *cost] for index, cost in costs.items()]) if costs else b""


def decode(data: bytes) -> dict[int, RowCost]:
    """Read what ``encode`` wrote."""
    return {index: RowCost(*cost) for index, *cost in orjson.loads(data)} if data else {}
