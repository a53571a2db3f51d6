"""Google's response schemas as JSON Schema, and answers held against them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest

from vertexq.families.gemini_schema import json_schema
from vertexq.families.schemas import MISMATCH, UNUSABLE, Fault, Schemas

SCHEMAS = Schemas()
NOT_CHECKED = "the answer was not checked: its response schema cannot be compiled"
FAULTS: list[tuple[object, str]] = [
    ({"items": [{"price": 3}, {"price": -1}]}, "/items/1/price (minimum)"),
    ({"items": [{}]}, "/items/0 (required)"),
    ({"items": [{"price": 1}], "mood": "a secret"}, "/mood (enum)"),
    ({"secret": 1, "items": []}, "/ (additionalProperties)"),
    ({"items": [], "more": {"a secret": 1}}, "/more/* (type)"),
    ([], "/ (type)"),
]


def fault(value: object, schema: object, *, googles: bool = True) -> Fault | None:
    """Return what is wrong with a value."""
    return SCHEMAS.fault(value, orjson.dumps(schema), googles=googles)


@pytest.mark.parametrize(
    ("googles", "ours"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string", "title": "t", "example": 1, "propertyOrdering": ["a"]}, {"type": "string"}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"nullable": True, "enum": ["a"]}, {"enum": ["a", None]}),
        ({"type": "INTEGER", "enum": ["1", "2"]}, {"type": "integer", "enum": [1.0, 2.0]}),
        ({"type": "TYPE_UNSPECIFIED"}, {}),
        ({"items": {"type": "NUMBER"}, "minItems": "2"}, {"items": {"type": "number"}, "minItems": 2}),
        ({"anyOf": [{"type": "NULL"}], "nullable": True}, {"anyOf": [{"type": "null"}, {"type": "null"}]}),
        ({"any_of": [{"type": "STRING", "max_length": 3}]}, {"anyOf": [{"type": "string", "maxLength": 3}]}),
        ({"ref": "#/defs/A", "defs": {"A": {}}}, {"$ref": "#/$defs/A", "$defs": {"A": {}}}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"properties": {"a_b": {"type": "NULL"}, "c": None}}, {"properties": {"a_b": {"type": "null"}}}),
    ],
)  # fmt: skip
def test_googles_schema_means_this_json_schema(googles: dict[str, Any], ours: dict[str, Any]) -> None:
    """Types in small letters, null where it may be, numbers as numbers; what describes is left out."""
    assert json_schema(googles, googles=True) == ours


def test_nulls_that_the_import_added_say_nothing() -> None:
    """Google's import gives every field to every row; a null among choices stays."""
    schema = {"type": "object", "title": None, "properties": {"a": {"enum": [None, 1]}, "b": None}}

    assert json_schema(schema, googles=False) == {"type": "object", "properties": {"a": {"enum": [None, 1]}}}


@pytest.mark.parametrize(("value", "place"), FAULTS)
def test_a_fault_names_its_place_and_its_rule_and_nothing_of_the_value(value: object, place: str) -> None:
    """Names of properties come from the schema; others are starred."""
    item = {
        "type": "OBJECT",
        "properties": {"price": {"type": "NUMBER", "minimum": 0}},
        "required": ["price"],
    }
    mood = {"type": "STRING", "enum": ["good", "bad"]}
    more = {"type": "OBJECT", "additionalProperties": {"type": "STRING"}}
    schema = {
        "type": "OBJECT",
        "properties": {"items": {"type": "ARRAY", "items": item}, "mood": mood, "more": more},
        "additionalProperties": False,
    }

    found = fault(value, schema)

    assert found == Fault(MISMATCH, f"the answer breaks its response schema at {place}")


@pytest.mark.parametrize(
    "schema",
    [
        [],
        7,
        {"type": "nonsense"},
        {"type": "STRING", "pattern": "("},
        {"type": "STRING", "maxLength": "many"},
        {"properties": []},
        {"items": []},
        {"anyOf": 7},
        {"ref": "http://127.0.0.1:9/schema"},
        {"ref": "file:///etc/hostname"},
        {"enum": 7},
    ],
)
def test_a_schema_that_is_none_is_said_to_be_unusable(schema: object) -> None:
    """Nothing is raised, and nothing is fetched."""
    assert fault({}, schema) == Fault(UNUSABLE, NOT_CHECKED)


@pytest.mark.parametrize(
    "schema",
    [[], {"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "file:///etc/hostname"}],
)
def test_a_json_schema_that_is_none_is_said_to_be_unusable(schema: object) -> None:
    """The same holds for schemas that are not in Google's form."""
    assert fault({}, schema, googles=False) == Fault(UNUSABLE, NOT_CHECKED)


def test_depth_is_bounded_in_schemas_and_in_answers() -> None:
    """A schema that is too deep is unusable; an answer that is too deep is no match, or fits."""
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"type": "ARRAY", "items": schema}
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]

    assert fault([], schema) == Fault(UNUSABLE, NOT_CHECKED)
    too_deep = "the answer is nested too deeply to be held against its response schema"
    assert fault(deep, {"type": "ARRAY"}) in (None, Fault(MISMATCH, too_deep))


def test_no_more_schemas_are_kept_than_a_bound() -> None:
    """A job whose rows all have schemas of their own takes no more memory than another."""
    schemas = Schemas()

    texts = [orjson.dumps({"type": "STRING", "maxLength": str(number)}) for number in range(1_000)]
    found = [schemas.fault("x" * number, text, googles=True) for number, text in enumerate(texts)]

    assert found == [None] * 1_000
    assert len(schemas) <= 128


def test_without_the_library_it_is_said_what_to_install() -> None:
    """Whoever validates needs the extra where the workers run; nobody else does."""
    code = (
        "import sys; sys.modules['jsonschema_rs'] = None\n"
        "from vertexq.families.gemini_json import JsonJudge\n"
        "JsonJudge()\n"
        "try:\n    JsonJudge(validate=True)\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.startswith("BadSettings ")
    assert "pip install 'vertexq[schema]'" in said.stdout
