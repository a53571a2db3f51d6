r"""Fields that hold one text and nothing else that differs, known by the bytes around the text. No I/O.

Most rows are ``[{"role":"user","parts":[{"text":"…"}]}]``. Such a field need not be decoded as a whole: what
stands between the known bytes is one JSON string, or it is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from vertexq.keys import canonical

MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for the text in an example."""


class Plain(NamedTuple):
    """A text in its field: as it is sent, as it is hashed, which example it is like, its length in UTF-8."""

    compact: bytes
    canonical: bytes
    example: int
    text_bytes: int


class _Form(NamedTuple):
    """An example cut at its text: as it may be written, as it is sent, as it is hashed."""

    example: int
    prefix: bytes
    suffix: bytes
    compact: tuple[bytes, bytes] | None  # None: as it is written
    canonical: tuple[bytes, bytes] | None


class PlainTexts:
    """Reads fields that look like one of ``examples``; compact, or with the blanks of Python's ``json``.

    With ``needs_text`` a blank text needs a closer look.
    """

    def __init__(self, examples: tuple[Any, ...], *, needs_text: bool = False) -> None:
        self._needs_text = needs_text
        self.examples = [orjson.dumps(example).replace(MARK.encode(), b"x") for example in examples]
        self._forms = [form for at, example in enumerate(examples) for form in _forms(at, example)]

    def read(self, field: bytes) -> Plain | None:
        """Return the field's text; None when a closer look is needed. ``field`` is valid JSON in UTF-8."""
        form = self._form(field)
        if form is None or (self._needs_text and _is_blank(field[len(form.prefix) : -len(form.suffix)])):
            return None
        return _read(field, form)

    def body(self, field: bytes) -> tuple[int, int] | None:
        """Return where in a field the inside of its text begins and ends; None when it is like no example."""
        form = self._form(field)
        return (len(form.prefix), len(field) - len(form.suffix)) if form else None

    def _form(self, field: bytes) -> _Form | None:
        for form in self._forms:
            if (
                field.startswith(form.prefix)
                and field.endswith(form.suffix)
                and len(field) >= len(form.prefix) + len(form.suffix)
            ):
                return form
        return None

    def write(self, example: int, quoted: bytes) -> Plain | None:
        """Return a field like an example, with a text given as a JSON string; None as ``read`` does."""
        form = next(form for form in self._forms if form.example == example)
        return self.read(form.prefix + quoted[1:-1] + form.suffix) if quoted[:1] == b'"' else None


def _read(field: bytes, form: _Form) -> Plain | None:
    found = text_body(field[len(form.prefix) - 1 : len(field) - len(form.suffix) + 1])
    if found is None:
        return None
    written, size = found
    compact = _around(written, form.compact or (form.prefix, form.suffix))
    hashed = compact if form.canonical is None else _around(written, form.canonical)
    return Plain(compact, hashed, form.example, size)


def _is_blank(body: bytes) -> bool:
    """Tell whether the inside of a JSON string may hold nothing but blanks."""
    if body[:1].isalnum():
        return False
    try:
        text: object = orjson.loads(b'"%b"' % body)
    except orjson.JSONDecodeError:
        return True
    return not isinstance(text, str) or not text.strip()


def text_body(quoted: bytes) -> tuple[bytes, int] | None:
    """Return the inside of a JSON string as orjson writes it, and the length of the text in UTF-8.

    None when it is not one text, or one with a NUL.
    """
    try:
        text = orjson.loads(quoted)
    except orjson.JSONDecodeError:
        return None
    size = len(text) if text.isascii() else len(text.encode())
    if b"\\" in quoted:  # one byte is found far sooner than two
        quoted = as_written(text)
    return (quoted[1:-1], size) if quoted else None


def as_written(text: str) -> bytes:
    """Return a text as orjson writes it; nothing when it holds a NUL, which is a flaw."""
    return b"" if "\0" in text else orjson.dumps(text)


def _around(body: bytes, ends: tuple[bytes, bytes] | tuple[Any, ...]) -> bytes:
    return b"%b%b%b" % (ends[0], body, ends[1])


def _forms(at: int, example: Any) -> list[_Form]:
    compact = _cut(orjson.dumps(example))
    spaced = _cut(_spaced(example).encode())
    hashed = _cut(canonical(example))
    return [
        _Form(at, *compact, None, None if hashed == compact else hashed),
        _Form(at, *spaced, compact, hashed),
    ]


def _cut(text: bytes) -> tuple[bytes, bytes]:
    before, _, after = text.partition(MARK.encode())
    return before, after


def _spaced(example: Any) -> str:
    """Return JSON as Python's ``json.dumps`` writes it by itself."""
    if isinstance(example, dict):
        return "{" + ", ".join(f'"{name}": {_spaced(each)}' for name, each in example.items()) + "}"  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if isinstance(example, list):
        return "[" + ", ".join(_spaced(each) for each in example) + "]"  # pyright: ignore[reportUnknownVariableType]
    return f'"{example}"'
