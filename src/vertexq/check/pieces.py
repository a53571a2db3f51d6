"""Requests checked field by field; most fields repeat from row to row, so they are remembered. No I/O.

``examine`` is the definition. ``Pieces.of`` gives the same, from memory where the same bytes came before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from vertexq.check.base import FieldRules
from vertexq.check.faults import Flaw
from vertexq.check.shapes import Shape, Shapes
from vertexq.check.strict import Unfit, loads, too_deep
from vertexq.check.walk import Walk
from vertexq.keys import canonical

_REMEMBERED_BYTES = 16 * 1024 * 1024
_PIECE_BYTES_MOST = 128 * 1024
_NO_SHAPE = Shape({})


@dataclass(slots=True, kw_only=True)
class Piece:
    """One field of a request: as it is sent and as it is hashed (empty: not at all), and what it has."""

    compact: bytes
    canonical: bytes = b""
    shape: Shape = _NO_SHAPE
    flaws: tuple[Flaw, ...] = ()
    repairs: tuple[str, ...] = ()
    text_bytes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def examine(name: str, text: bytes, rules: FieldRules, shapes: Shapes, *, repair: bool) -> Piece:
    """Look at a field of a request, given as JSON."""
    try:
        return _examined(name, loads(text), rules, shapes, repair=repair)
    except Unfit as error:
        return Piece(compact=b"null", flaws=(error.flaw,))
    except (RecursionError, orjson.JSONEncodeError):  # hundreds of levels, where 15 are taken
        return Piece(compact=b"null", flaws=(too_deep(f"request\0{name}"),))


def _examined(name: str, value: Any, rules: FieldRules, shapes: Shapes, *, repair: bool) -> Piece:
    value, repairs = rules.mend(name, value) if repair else (value, ())
    walk = Walk()
    if rules.imported:
        walk.field(name, value, "request", 1)
    flaws = (*walk.flaws, *rules.check(name, value))
    if flaws:
        return Piece(compact=b"null", flaws=flaws)
    weight = rules.weigh(name, value)
    return Piece(
        compact=b"" if value is None and repairs else orjson.dumps(value),
        canonical=canonical(value),
        shape=shapes.of(walk.facts),
        repairs=repairs,
        text_bytes=weight.text_bytes,
        input_tokens=weight.input_tokens,
        output_tokens=weight.output_tokens,
    )


class Pieces:
    """Examines fields and remembers the last ones, up to 16 MiB."""

    def __init__(self, rules: FieldRules, *, repair: bool) -> None:
        self.shapes = Shapes()
        self._rules = rules
        self._repair = repair
        self._known: dict[str, dict[bytes, Piece]] = {}
        self._held_bytes = 0

    def of(self, name: str, text: bytes) -> Piece:
        """Return the piece that a field is."""
        known = self._known.get(name)
        piece = known.get(text) if known is not None else None
        if piece is None:
            piece = examine(name, text, self._rules, self.shapes, repair=self._repair)
            if len(text) <= _PIECE_BYTES_MOST:
                self._remember(name, text, piece)
        return piece

    def _remember(self, name: str, text: bytes, piece: Piece) -> None:
        self._held_bytes += 3 * len(text) + 500
        if self._held_bytes > _REMEMBERED_BYTES:
            self._known.clear()
            self._held_bytes = 0
        self._known.setdefault(name, {})[text] = piece
