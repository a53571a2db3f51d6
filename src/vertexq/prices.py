"""What a token costs: a table with effective dates, shipped as ``prices.json``. No I/O but reading that file.

A batch costs half of the online price; tokens found in the implicit cache cost a tenth of the online price
and the two discounts do not stack (Google's batch prediction overview, read 2026-11-21).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TypedDict, cast

import orjson

_PUSD_PER_TOKEN_AT_1_USD = 1_000_000  # one US dollar per million tokens, in pico-dollars a token


@dataclass(frozen=True, slots=True)
class Price:
    """Pico-dollars a token. A row costs prompt * input + (output + thoughts) * output - cached * rebate.

    Prompt tokens include cached ones. With 150,000 and 1,250,000 pico-dollars 100 prompt and 10 output tokens
    cost 100 * 150,000 + 10 * 1,250,000 = 27,500,000 pico-dollars, 0.0000275 US dollars. ``vertexq.rows`` adds
    it up where every row passes.
    """

    input_pusd: int
    output_pusd: int
    cached_pusd: int

    @property
    def rebate_pusd(self) -> int:
        """Return how much less a token costs that was found in the cache."""
        return self.input_pusd - self.cached_pusd


_PriceLine = TypedDict(
    "_PriceLine",
    {"model": str, "from": str, "input": str, "output": str, "online_input": str, "online_output": str},
)


def price_of(model: str, on: date) -> Price | None:
    """Return the batch price of ``model`` (its last path segment, any ``@version``) on a day, or None."""
    name = model.rpartition("/")[2].partition("@")[0]
    lines = [ln for ln in _table() if _names(ln["model"], name) and date.fromisoformat(ln["from"]) <= on]
    if not lines:
        return None
    best = max(lines, key=lambda ln: (len(ln["model"]), ln["from"]))
    return Price(
        input_pusd=_pusd(best["input"]),
        output_pusd=_pusd(best["output"]),
        cached_pusd=_pusd(best["online_input"]) // 10,
    )


def _names(pattern: str, name: str) -> bool:
    """Tell whether a table line is about the model: itself, or a dated version (``…-001``) of it."""
    tail = name.removeprefix(pattern)
    return name.startswith(pattern) and (not tail or tail[1:].isdigit() or tail.startswith("-preview"))


def _pusd(usd_per_million: str) -> int:
    return int(Decimal(usd_per_million) * _PUSD_PER_TOKEN_AT_1_USD)


@cache
def _table() -> list[_PriceLine]:
    text = files("vertexq").joinpath("prices.json").read_bytes()
    return cast("list[_PriceLine]", orjson.loads(text)["prices"])
