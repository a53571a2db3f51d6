"""Repairs: what changes nothing in meaning is mended and counted; what would is left a fault."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.check_rows import DEFECTS, HELLO, NOTHING, line, taken, turn, with_schema, with_tool
from vertexq.check.faults import Rule

CALL = {"functionCall": {"name": "f"}}
SCHEMA = {"type": "object", "properties": {"$id": {"type": "string"}}}


def mended(request: dict[str, Any]) -> tuple[Any, dict[str, int]]:
    """Return the request as it is sent, and what was done."""
    (row,), found = taken([line(request)], repair=True)
    return orjson.loads(row.request), dict(found.close().report.repairs)


@pytest.mark.parametrize("name", ["generationConfig", "tool_config", "labels", "safetySettings"])
def test_an_empty_field_is_left_out(name: str) -> None:
    """It says nothing."""
    assert mended({**HELLO, name: NOTHING}) == (HELLO, {"dropped_empty_object": 1})


@pytest.mark.parametrize(
    ("given", "sent", "kind"),
    [
        (
            turn(parts=[{"functionCall": {"name": "f", "args": NOTHING}}]),
            turn(parts=[CALL]),
            "dropped_empty_object",
        ),
        (
            with_schema({"type": "OBJECT", "properties": NOTHING}),
            with_schema({"type": "OBJECT"}),
            "dropped_empty_object",
        ),
        (
            with_tool({"google_search": NOTHING}),
            with_tool({"google_search": {"excludeDomains": []}}),
            "search_without_exclusions",
        ),
        (
            with_tool({"googleSearch": NOTHING}),
            with_tool({"googleSearch": {"excludeDomains": []}}),
            "search_without_exclusions",
        ),
        (
            with_schema(
                {"$schema": "x", "type": "object", "items": {"type": "string"}}, "responseJsonSchema"
            ),
            with_schema({"type": "object", "items": {"type": "string"}}, "responseJsonSchema"),
            "dropped_schema_annotation",
        ),
        (HELLO | {"labels": {"a": 7}}, HELLO | {"labels": {"a": "7"}}, "number_as_text"),
        (HELLO | {"labels": {"a": True}}, HELLO | {"labels": {"a": "true"}}, "number_as_text"),
        (
            with_schema({"type": "STRING", "enum": [1, 2.5]}),
            with_schema({"type": "STRING", "enum": ["1", "2.5"]}),
            "number_as_text",
        ),
        (
            HELLO | {"generationConfig": {"temperature": "0.5"}},
            HELLO | {"generationConfig": {"temperature": 0.5}},
            "text_as_number",
        ),
        (
            with_schema({"type": "ARRAY", "maxItems": "5"}),
            with_schema({"type": "ARRAY", "maxItems": 5}),
            "text_as_number",
        ),
        (turn(parts={"text": "Hello"}), HELLO, "parts_as_array"),
        (turn(parts="Hello"), HELLO, "parts_as_array"),
    ],
)
def test_a_harmless_defect_is_mended(given: dict[str, Any], sent: dict[str, Any], kind: str) -> None:
    """And counted by its kind."""
    request, done = mended(given)

    assert request == sent
    assert set(done) == {kind}


def test_a_good_request_is_left_as_it_is() -> None:
    """Nothing is mended that is not broken, and nothing without being asked."""
    request = {**HELLO, "generationConfig": {"temperature": 0.5, "responseMimeType": "7"}}

    assert mended(request) == (request, {})
    assert taken([line(request | {"labels": NOTHING})])[0] == []


def test_what_has_no_equivalent_stays_a_fault() -> None:
    """The fault says so."""
    _, found = taken([line(with_tool({"urlContext": NOTHING}))], repair=True)

    (fault,) = found.verdict().report.faults
    assert fault.rule is Rule.EMPTY_OBJECT
    assert "there is no other way to write it" in fault.mend


def test_a_property_called_like_an_annotation_is_data() -> None:
    """Only the schema's own annotations go; the property's name stays, and is a fault."""
    _, found = taken([line(with_schema(SCHEMA, "responseJsonSchema"))], repair=True)

    assert found.verdict().report.faults[0].rule is Rule.FIELD_NAME


def test_repair_saves_the_rows_that_it_can() -> None:
    """Of all defects, these are mended; the others keep their rule."""
    saved = {name for name, (request, _) in DEFECTS.items() if taken([line(request)], repair=True)[0]}

    assert saved == {
        *("schema", "search", "search in camel case", "properties", "empty config"),
        *("parts is an object", "parts is a text"),
    }
