"""Templates: a request with ``{{field}}`` in it, filled with one record after the other. No I/O.

``{{field}}`` may stand anywhere in a text of the template. A text that is nothing but ``"{{field}}"`` becomes
the field's value as it is: a number stays a number, a list a list. Within a longer text a text goes in as it
is, anything else as JSON. ``{{{{`` is a plain ``{{``; names of keys are never filled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import orjson

from vertexq.errors import BadInput
from vertexq.families.base import NoRequest

TEMPLATE_LIMIT_BYTES = 256 * 1024
"""A template is kept in the ledger beside its submission."""

_MARK = re.compile(r"\{\{\{\{|\{\{\s*([^{}]+?)\s*\}\}|\{\{")
_ROW_FIELDS = frozenset({"request", "prompt"})
_FORMS = frozenset({"request", "prompt", "contents"})
_Fill = Callable[[Mapping[str, Any]], Any]


class Template:
    """Turns a record into a row. ``text`` is the template as canonical JSON, ``fields`` what it needs."""

    def __init__(self, text: str, fill: _Fill, fields: tuple[str, ...], *, is_row: bool) -> None:
        self.text = text
        self.fields = fields
        self._fill = fill
        self._is_row = is_row

    @classmethod
    def parse(cls, given: str | bytes | Mapping[str, Any]) -> Template:
        """Read a template: a request, or a row (``{"prompt": …}``, ``{"request": …}``), as JSON or a mapping.

        Raise ``BadInput`` when it is neither, or when it holds no placeholder at all.
        """
        value = _value(given)
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        if len(text) > TEMPLATE_LIMIT_BYTES:
            raise BadInput(
                f"the template has {len(text):,} bytes; at most {TEMPLATE_LIMIT_BYTES:,} are taken"
            )
        fields = dict.fromkeys(_fields(value, "the template"))
        if not fields:
            raise BadInput(
                "the template has no placeholder, so that every row would be the same request; write "
                '{{field}} where a record\'s field belongs, for example {"prompt": "Translate: {{text}}"}'
            )
        return cls(text, _compiled(value), tuple(fields), is_row=bool(_ROW_FIELDS & value.keys()))

    def __call__(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row of a record, its other fields (such as the key) kept beside the request.

        Raise ``NoRequest`` for a field that the record does not have, by its name and never by a value.
        """
        filled = self._fill(record)
        kept = {name: value for name, value in record.items() if name not in _FORMS}
        return {**kept, **filled} if self._is_row else {**kept, "request": filled}


def _value(given: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        value = orjson.loads(given if isinstance(given, str | bytes) else orjson.dumps(given))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise BadInput(f"the template is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput('a template is a JSON object: a request, or a row such as {"prompt": "{{text}}"}')
    return cast("dict[str, Any]", value)


def _fields(value: object, where: str) -> Iterator[str]:
    """Yield the names of the placeholders; ``where`` is the path that an error names."""
    if isinstance(value, dict):
        for name, below in cast("dict[str, object]", value).items():
            yield from _fields(below, f"{where}.{name}")
    elif isinstance(value, list):
        for at, below in enumerate(cast("list[object]", value)):
            yield from _fields(below, f"{where}[{at}]")
    elif isinstance(value, str):
        yield from _names(value, where)


def _names(text: str, where: str) -> Iterator[str]:
    for mark in _MARK.finditer(text):
        if mark[0] == "{{":
            raise BadInput(
                f"{where} has a {{{{ that begins no placeholder; write {{{{field}}}}, or {{{{{{{{ for two "
                "braces"
            )
        if mark[1]:
            yield mark[1]


def _compiled(value: object) -> _Fill:
    """Return a function that builds the value anew for each record: what it returns may be changed."""
    if isinstance(value, dict):
        return _mapping({name: _compiled(below) for name, below in cast("dict[str, object]", value).items()})
    if isinstance(value, list):
        return _sequence([_compiled(below) for below in cast("list[object]", value)])
    if isinstance(value, str) and _MARK.search(value):
        return _text(value)
    return lambda _: value


def _mapping(below: Mapping[str, _Fill]) -> _Fill:
    items = tuple(below.items())
    return lambda record: {name: fill(record) for name, fill in items}


def _sequence(below: list[_Fill]) -> _Fill:
    return lambda record: [fill(record) for fill in below]


def _text(text: str) -> _Fill:
    whole = _MARK.fullmatch(text)
    if whole and whole[1]:
        name = whole[1]
        return lambda record: _field(record, name)
    parts = list(_parts(text))
    return lambda record: "".join(
        part if is_plain else _as_text(_field(record, part), part) for part, is_plain in parts
    )


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (plain text, True) and (field, False) in turn."""
    at = 0
    for mark in _MARK.finditer(text):
        yield text[at : mark.start()], True
        yield (mark[1], False) if mark[1] else ("{{", True)
        at = mark.end()
    yield text[at:], True


def _field(record: Mapping[str, Any], name: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise NoRequest(f"the template needs the field {name!r}, and this record has none") from None


def _as_text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise NoRequest(f"the field {name!r} is null, and the template puts it into a text")
    return orjson.dumps(value).decode()
