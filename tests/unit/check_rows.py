"""Rows for tests of the check: requests of all kinds, every defect of the import, and both judges."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import strategies as st

from vertexq.check.faults import Rule
from vertexq.families.gemini import FAMILY
from vertexq.intake import Intake, Prepared
from vertexq.keys import wire_key
from vertexq.lines import Block
from vertexq.model import Policy
from vertexq.simulator.importer import Importer

NOTHING: dict[str, Any] = {}
HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def with_schema(schema: object, name: str = "responseSchema") -> dict[str, Any]:
    """Return a request whose answers have a schema."""
    return {**HELLO, "generationConfig": {name: schema}}


def with_tool(tool: object) -> dict[str, Any]:
    """Return a request with a tool."""
    return {**HELLO, "tools": [tool]}


def deep(levels: int) -> dict[str, Any]:
    """Return a schema that many objects deep."""
    return {"items": deep(levels - 1)} if levels > 1 else {"type": "STRING"}


def turn(**changes: object) -> dict[str, Any]:
    """Return a request whose one turn is changed."""
    return {"contents": [{**HELLO["contents"][0], **changes}]}


DEFECTS: dict[str, tuple[dict[str, Any], Rule]] = {
    "deep": (with_schema(deep(14)), Rule.DEPTH),
    "defs": (with_schema({"$defs": {"a": {"type": "string"}}}, "responseJsonSchema"), Rule.FIELD_NAME),
    "schema": (with_schema({"$schema": "x", "type": "object"}, "responseJsonSchema"), Rule.FIELD_NAME),
    "space": (with_schema({"properties": {"full name": {"type": "STRING"}}}), Rule.FIELD_NAME),
    "dash": (with_schema({"properties": {"full-name": {"type": "STRING"}}}), Rule.FIELD_NAME),
    "search": (with_tool({"google_search": NOTHING}), Rule.EMPTY_OBJECT),
    "search in camel case": (with_tool({"googleSearch": NOTHING}), Rule.EMPTY_OBJECT),
    "url context": (with_tool({"urlContext": NOTHING}), Rule.EMPTY_OBJECT),
    "properties": (with_schema({"type": "OBJECT", "properties": NOTHING}), Rule.EMPTY_OBJECT),
    "arguments": (
        turn(parts=[{"functionCall": {"name": "f", "args": {"filter": NOTHING}}}]),
        Rule.EMPTY_OBJECT,
    ),
    "empty config": ({**HELLO, "generationConfig": NOTHING}, Rule.EMPTY_OBJECT),
    "null in array": (with_schema({"type": "STRING", "enum": ["a", None]}), Rule.NULL_IN_ARRAY),
    "one and many": (
        with_schema(
            {"properties": {"x": {"anyOf": [{"type": "string"}, {"type": ["string", "null"]}]}}},
            "responseJsonSchema",
        ),
        Rule.MIXED_KINDS,
    ),
    "parts is an object": (turn(parts={"text": "Hello"}), Rule.PARTS),
    "parts is a text": (turn(parts="Hello"), Rule.PARTS),
}
"""A request for each defect that ends a whole job, and the rule that finds it."""


def intake(*, quick: bool = True, only_check: bool = False, **policy: bool) -> Intake:
    """Return an intake of Gemini rows."""
    return Intake(FAMILY, name="rows", policy=Policy(**policy), quick=quick, only_check=only_check)


def taken(lines: Iterable[bytes], *, quick: bool = True, **policy: bool) -> tuple[list[Prepared], Intake]:
    """Return what an intake makes of some lines."""
    found = intake(quick=quick, **policy)
    return found.block(Block(0, list(lines))), found


def judged(rows: Iterable[Prepared]) -> str:
    """Return what the simulator's import says of the rows as they are staged; nothing when it takes them."""
    importer = Importer()
    for index, row in enumerate(rows):
        key = orjson.dumps(wire_key(index, row.key))
        if error := importer.feed(b'{"key":%b,"request":%b}' % (key, row.request)):
            return error.message
    error = importer.close()
    return error.message if error else ""


def line(request: object, key: object = None) -> bytes:
    """Return a line of a file."""
    return compact({"request": request} if key is None else {"key": key, "request": request})


def compact(value: object) -> bytes:
    """Return JSON without blanks; integers may be of any size."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_NAMES = st.sampled_from(["a", "b", "type", "text", "a b", "$defs", "A", "items", "properties"])
_SCALARS = (
    st.text('ab\n"\\\u00e9\u2028\x00\x1f/', max_size=6)
    | st.integers(-(2**65), 2**65)
    | st.integers(0, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.text('abc 1\n\t"\\/\u00e9\u2028\x00\x01\x7f\U0001f600', max_size=12)
_PARTS: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries({"text": TEXTS}, optional={"x": VALUES}), min_size=1, max_size=2
)
_TURNS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"parts": _PARTS | VALUES},
    optional={"role": st.sampled_from(["user", "model", "system", None, 1])},
)
REQUESTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "contents": st.lists(_TURNS, max_size=2)
        | TEXTS.map(lambda text: turn(parts=[{"text": text}])["contents"])
    },
    optional={
        "generationConfig": VALUES | st.just({"temperature": 0.5, "maxOutputTokens": 7}),
        "systemInstruction": st.just({"parts": [{"text": "Be brief."}]}) | VALUES,
        "tools": VALUES,
        "labels": st.dictionaries(_NAMES, _SCALARS, max_size=2),
        "cachedContent": st.none() | st.just("c"),
    },
)
