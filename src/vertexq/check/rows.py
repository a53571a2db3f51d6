"""One request against all rules, put together from its fields. No I/O.

``Requests.check_plainly`` is the definition. ``check`` gives the same and is many times as fast: what
surrounds the one field that differs from row to row, the frame, is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple, cast

import msgspec

from vertexq.check.base import FieldRules
from vertexq.check.faults import Flaw, Rule
from vertexq.check.pieces import Piece, Pieces, examine
from vertexq.check.plain_text import Plain, PlainTexts
from vertexq.check.shapes import Signature
from vertexq.keys import digest_of

BYTES_PER_TOKEN = 4
"""How many bytes of text are reckoned as one token (Google's page on tokens: about four characters)."""

split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""Split an object into its fields, each still JSON. Bad UTF-8 and equal names are not seen here."""

_LAYOUTS = 1_000
_FRAMES_BYTES = 16 * 1024 * 1024


class Checked(NamedTuple):
    """A request as it is sent, its canonical form, and what was found in it."""

    request: bytes
    canonical: bytes
    signature: Signature
    flaws: tuple[Flaw, ...]
    repairs: tuple[str, ...]
    text_bytes: int
    media_tokens: int
    output_tokens: int

    @property
    def fingerprint(self) -> bytes:
        """Return the fingerprint."""
        return digest_of(self.canonical)

    @property
    def input_tokens(self) -> int:
        """Return an estimate of the tokens that the model reads."""
        return -(-self.text_bytes // BYTES_PER_TOKEN) + self.media_tokens


class Frame(NamedTuple):
    """A request without the field that differs: what is before and after it, and what was found in the rest.

    ``size`` is its length in bytes as it was given, if there were no blanks.
    """

    size: int
    before: bytes
    after: bytes
    canonical_before: bytes
    canonical_after: bytes
    signature: Signature
    flaws: tuple[Flaw, ...]
    repairs: tuple[str, ...]
    text_bytes: int
    input_tokens: int
    output_tokens: int


class _Layout(NamedTuple):
    """The names of a request in their order, where the field is that differs, and the frames seen so far."""

    names: tuple[str, ...]
    at: int
    flaws: tuple[Flaw, ...]
    frames: dict[tuple[bytes, ...], Frame]


class Requests:
    """Checks the requests of one source."""

    def __init__(self, rules: FieldRules, *, repair: bool) -> None:
        self.pieces = Pieces(rules, repair=repair)
        self.varying, self.text_field, self.needs_text = rules.varying, rules.text_field, rules.needs_text
        self._rules = rules
        self._repair = repair
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._held_bytes = 0
        self.plain = PlainTexts(rules.plain, needs_text=rules.needs_text)
        of = self.pieces.of
        self._plain_shapes = [of(rules.varying, example).shape for example in self.plain.examples]
        alone = (rules.varying,)
        self._prompt_frame = (
            self._framed(self._laid_out(alone), (self.plain.examples[0],), ()) if rules.plain else None
        )

    def check(self, fields: Mapping[str, bytes | msgspec.Raw]) -> Checked:
        """Check a request, given as its fields in JSON; each field is valid JSON in UTF-8."""
        found = self.quick(fields)
        return found[0] if found else self.check_plainly({name: bytes(text) for name, text in fields.items()})

    def quick(self, fields: Mapping[str, bytes | msgspec.Raw]) -> tuple[Checked, int] | None:
        """Return what ``check_plainly`` would, and the bytes of the request as it was given without blanks.

        None when it has a flaw, or no field that differs.
        """
        names = tuple(fields)
        texts = tuple(map(bytes, fields.values()))
        layout = self._layouts.get(names) or self._laid_out(names)
        at = layout.at
        if at < 0:
            return None
        rest = texts[:at] + texts[at + 1 :]
        frame = layout.frames.get(rest) or self._framed(layout, texts, rest)
        if frame.flaws:
            return None
        text = texts[at]
        plain = self.plain.read(text)
        if plain is None:
            piece = self.pieces.of(names[at], text)
            if piece.flaws:
                return None
            return _joined(frame, piece), frame.size + len(text)
        return self._plainly_joined(frame, plain), frame.size + len(text)

    def quick_prompt(self, quoted: bytes) -> Checked | None:
        """Return the check of a request that is nothing but a text, given as JSON; None when in doubt."""
        frame = self._prompt_frame
        if frame is None or frame.flaws or not quoted[1:2].isalnum():
            return None
        plain = self.plain.write(0, quoted)
        return self._plainly_joined(frame, plain) if plain else None

    def _plainly_joined(self, frame: Frame, plain: Plain) -> Checked:
        compact, canonical, example, text_bytes = plain
        return Checked(
            b"%b%b%b" % (frame.before, compact, frame.after),
            b"%b%b%b" % (frame.canonical_before, canonical, frame.canonical_after),
            (*frame.signature, self._plain_shapes[example]),
            (),
            frame.repairs,
            frame.text_bytes + text_bytes,
            frame.input_tokens,
            frame.output_tokens,
        )

    def check_plainly(self, fields: Mapping[str, bytes]) -> Checked:
        """Check a request, given as its fields in JSON."""
        names = tuple(fields)
        shapes, rules = self.pieces.shapes, self._rules
        found = [examine(*each, rules, shapes, repair=self._repair) for each in fields.items()]
        others = {name: text for name, text in fields.items() if name != rules.varying}
        flaws = (*_flaws_of_names(names, rules), *rules.check_others(others))
        return self._together(names, flaws, found)

    def _together(self, names: tuple[str, ...], flaws: tuple[Flaw, ...], found: list[Piece]) -> Checked:
        return Checked(
            _written([(name, piece.compact) for name, piece in zip(names, found, strict=True)]),
            _written(
                [
                    (name, piece.canonical)
                    for name, piece in sorted(zip(names, found, strict=True), key=_name, reverse=True)
                ]
            ),
            tuple(piece.shape for piece in found),
            flaws + tuple(flaw for piece in found for flaw in piece.flaws),
            tuple(repair for piece in found for repair in piece.repairs),
            sum(piece.text_bytes for piece in found),
            sum(piece.input_tokens for piece in found),
            sum(piece.output_tokens for piece in found),
        )

    def _laid_out(self, names: tuple[str, ...]) -> _Layout:
        if len(self._layouts) >= _LAYOUTS:
            self._layouts.clear()
        at = names.index(self._rules.varying) if self._rules.varying in names else -1
        layout = _Layout(names, at, tuple(_flaws_of_names(names, self._rules)), {})
        self._layouts[names] = layout
        return layout

    def _framed(self, layout: _Layout, texts: tuple[bytes, ...], rest: tuple[bytes, ...]) -> Frame:
        held = sum(map(len, rest)) * 4 + 1_000
        self._held_bytes += held
        if self._held_bytes > _FRAMES_BYTES:
            self._held_bytes = held
            self._layouts.clear()
            layout.frames.clear()
            self._layouts[layout.names] = layout
        frame = layout.frames[rest] = self._frame(layout, texts)
        return frame

    def _frame(self, layout: _Layout, texts: tuple[bytes, ...]) -> Frame:
        names, at = layout.names, layout.at
        of = self.pieces.of
        given = {name: text for name, text in zip(names, texts, strict=True) if name != names[at]}
        found = {name: of(name, text) for name, text in given.items()}
        others = found.values()
        together = tuple(self._rules.check_others(given))
        before, after = _around([(name, found[name].compact if name in found else _GAP) for name in names])
        hashed = _around(
            [(name, found[name].canonical if name in found else _GAP) for name in sorted(names, reverse=True)]
        )
        return Frame(
            size=_overhead(names) + sum(map(len, texts)) - len(texts[at]),
            before=before,
            after=after,
            canonical_before=hashed[0],
            canonical_after=hashed[1],
            signature=tuple(piece.shape for piece in others),
            flaws=layout.flaws + together + tuple(flaw for piece in others for flaw in piece.flaws),
            repairs=tuple(repair for piece in others for repair in piece.repairs),
            text_bytes=sum(piece.text_bytes for piece in others),
            input_tokens=sum(piece.input_tokens for piece in others),
            output_tokens=sum(piece.output_tokens for piece in others),
        )


def _joined(frame: Frame, piece: Piece) -> Checked:
    return Checked(
        b"%b%b%b" % (frame.before, piece.compact, frame.after),
        b"%b%b%b" % (frame.canonical_before, piece.canonical, frame.canonical_after),
        (*frame.signature, piece.shape),
        (),
        frame.repairs + piece.repairs,
        frame.text_bytes + piece.text_bytes,
        frame.input_tokens + piece.input_tokens,
        frame.output_tokens + piece.output_tokens,
    )


def _name(pair: tuple[str, Piece]) -> str:
    return pair[0]


_GAP = b"\0"  # stands where the differing field will be; no JSON holds it


def _around(values: Iterable[tuple[str, bytes]]) -> tuple[bytes, bytes]:
    before, _, after = _written(values).partition(_GAP)
    return before, after


def _written(values: Iterable[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join([_head(name) + text for name, text in values if text]) + b"}"


def _head(name: str) -> bytes:
    return msgspec.json.encode(name) + b":"


def _overhead(names: tuple[str, ...]) -> int:
    """Return how many bytes an object needs besides its values, if there are no blanks."""
    return 2 + sum(len(_head(name)) for name in names) + len(names) - 1


def _flaws_of_names(names: tuple[str, ...], rules: FieldRules) -> Iterator[Flaw]:
    yield from rules.check_names(names)
    if len({name.casefold() for name in names}) < len(names):
        text = "two names differ by their case only; columns do not"
        yield Flaw(Rule.REPEATED_NAME, "request", text, "rename one of them")


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
