"""One request against all rules, put together from its fields. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple, cast

import msgspec

from vertexq.check.base import FieldRules
from vertexq.check.faults import Flaw, Rule
from vertexq.check.pieces import Piece, Pieces
from vertexq.check.shapes import Signature
from vertexq.keys import digest_of

BYTES_PER_TOKEN = 4
"""How many bytes of text are reckoned as one token (Google's page on tokens: about four characters)."""

split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Split an object into its fields, each still JSON. Bad UTF-8 and equal names are not seen here."""

_LAYOUTS = 10_000


class Checked(NamedTuple):
    """A request as it is sent, its fingerprint, and what was found in it."""

    request: bytes
    fingerprint: bytes
    signature: Signature
    flaws: tuple[Flaw, ...]
    repairs: tuple[str, ...]
    input_tokens: int
    output_tokens: int


class _Layout(NamedTuple):
    """The names of a request in their order: what to write before each, the sorted order, what is wrong."""

    heads: tuple[bytes, ...]
    order: tuple[int, ...]
    sorted_heads: tuple[bytes, ...]
    flaws: tuple[Flaw, ...]


class Requests:
    """Checks the requests of one source."""

    def __init__(self, rules: FieldRules, *, repair: bool) -> None:
        self.pieces = Pieces(rules, repair=repair)
        self._rules = rules
        self._layouts: dict[tuple[str, ...], _Layout] = {}

    def check(self, fields: Mapping[str, bytes]) -> Checked:
        """Check a request, given as its fields in JSON."""
        of = self.pieces.of
        found = [of(name, text) for name, text in fields.items()]
        names = tuple(fields)
        layout = self._layouts.get(names) or self._laid_out(names)
        text_bytes = inputs = outputs = 0
        for piece in found:
            text_bytes += piece.text_bytes
            inputs += piece.input_tokens
            outputs += piece.output_tokens
        return Checked(
            _written(layout.heads, [piece.compact for piece in found]),
            digest_of(_hashed(layout, found)),
            tuple([piece.shape for piece in found]),
            layout.flaws + tuple(flaw for piece in found for flaw in piece.flaws),
            tuple(repair for piece in found for repair in piece.repairs),
            -(-text_bytes // BYTES_PER_TOKEN) + inputs,
            outputs,
        )

    def _laid_out(self, names: tuple[str, ...]) -> _Layout:
        if len(self._layouts) >= _LAYOUTS:
            self._layouts.clear()
        order = tuple(sorted(range(len(names)), key=names.__getitem__))
        heads = tuple(msgspec.json.encode(name) + b":" for name in names)
        flaws = list(self._rules.check_names(names))
        if len({name.casefold() for name in names}) < len(names):
            text = "two names differ by their case only; columns do not"
            flaws.append(Flaw(Rule.REPEATED_NAME, "request", text, "rename one of them"))
        layout = _Layout(heads, order, tuple(heads[at] for at in order), tuple(flaws))
        self._layouts[names] = layout
        return layout


def _written(heads: tuple[bytes, ...], values: list[bytes]) -> bytes:
    return b"{" + b",".join([head + value for head, value in zip(heads, values, strict=True)]) + b"}"


def _hashed(layout: _Layout, pieces: list[Piece]) -> bytes:
    """Return the canonical form: names sorted, nulls left out."""
    ordered = zip(layout.sorted_heads, layout.order, strict=True)
    written = [head + pieces[at].canonical for head, at in ordered if pieces[at].canonical]
    return b"{" + b",".join(written) + b"}"


def not_finite(value: object) -> Iterator[Flaw]:
    """Yield a flaw when a value holds a number that JSON cannot write: orjson would write null."""
    if isinstance(value, float) and not isfinite(value):
        yield Flaw(Rule.NOT_FINITE, "", "a number is not finite", "leave it out, or write it as text")
    elif isinstance(value, Mapping):
        for each in cast("Mapping[Any, object]", value).values():
            yield from not_finite(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            yield from not_finite(each)
