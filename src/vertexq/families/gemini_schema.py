"""Google's ``Schema`` (a subset of OpenAPI 3.0) as JSON Schema 2020-12. No I/O.

The fields are those of ``GoogleCloudAiplatformV1Schema`` in the discovery document of aiplatform v1,
revision 20261106: types in capitals, ``nullable``, counts as text (int64), ``ref`` and ``defs`` without a
dollar. Google's importer adds nulls where other rows have a field, so a null in a schema says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_COUNTS = frozenset({"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"})
_NUMBERS = frozenset({"maximum", "minimum"})
_AS_THEY_ARE = frozenset({"pattern", "required"})
_DEPTH = 64
"""Schemas nested deeper than this are refused; Google's importer takes 15 levels in a file."""

Fields = dict[str, Any]


def json_schema(schema: object, *, googles: bool) -> Fields:
    """Return a response schema as JSON Schema; raise ``ValueError`` for one that is no schema.

    ``{"type": "STRING", "nullable": true}`` becomes ``{"type": ["string", "null"]}``.
    """
    meant = cast("Fields", _without_nulls(_object(schema), _DEPTH))
    return _converted(meant) if googles else meant


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise ValueError("a schema is an object")  # noqa: TRY004  (like all that is wrong with a schema)
    return cast("Fields", value)


def _without_nulls(value: object, depth: int) -> object:
    """Leave out fields that are null, which the importer adds; what is in a list stays as it is."""
    if not depth:
        raise ValueError("the schema is nested too deeply")
    if isinstance(value, dict):
        fields = cast("Fields", value).items()
        return {name: _without_nulls(item, depth - 1) for name, item in fields if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item, depth - 1) for item in cast("list[object]", value)]
    return value


def _converted(schema: object) -> Fields:
    fields = _in_camel_case(_object(schema))
    meant: Fields = {name: fields[name] for name in _AS_THEY_ARE & fields.keys()}
    meant |= {name: int(fields[name]) for name in _COUNTS & fields.keys()}
    meant |= {name: float(fields[name]) for name in _NUMBERS & fields.keys()}
    meant |= {name: _converted(fields[name]) for name in {"items"} & fields.keys()}
    meant |= _named(fields)
    if "anyOf" in fields:
        meant["anyOf"] = [_converted(one) for one in fields["anyOf"]]
    if "ref" in fields:
        meant["$ref"] = str(fields["ref"]).replace("#/defs/", "#/$defs/")
    return _typed(meant, fields)


def _named(fields: Mapping[str, Any]) -> Fields:
    """Return the schemas that have names: of properties, of definitions, of what else may come."""
    found: Fields = {}
    for theirs, ours in (("properties", "properties"), ("defs", "$defs")):
        if theirs in fields:
            schemas = _object(fields[theirs])
            found[ours] = {name: _converted(one) for name, one in schemas.items()}
    more = fields.get("additionalProperties")
    if more is not None:
        found["additionalProperties"] = more if isinstance(more, bool) else _converted(more)
    return found


def _typed(meant: Fields, fields: Mapping[str, Any]) -> Fields:
    """Add type and choices, and null to both when it may be null."""
    kind, nullable = str(fields.get("type", "")).lower(), fields.get("nullable") is True
    choices = fields.get("enum")
    if kind and kind != "type_unspecified":
        meant["type"] = [kind, "null"] if nullable else kind
    if choices is not None:
        own = [_choice(one, kind) for one in choices]
        meant["enum"] = [*own, None] if nullable else own
    if nullable and "anyOf" in meant:
        meant["anyOf"].append({"type": "null"})
    return meant


def _choice(choice: object, kind: str) -> object:
    """Return one choice as the answer would hold it: Google's are text, also those of numbers."""
    if kind in ("integer", "number") and isinstance(choice, str):
        return float(choice)
    return choice


def _in_camel_case(fields: Fields) -> Fields:
    """Return the fields under the names of the discovery document: ``any_of`` becomes ``anyOf``."""
    return {_camel(name): value for name, value in fields.items()}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest) if rest and head else name
