"""The columns of a table: BigQuery's schema, and the types that DuckDB has for it. No I/O.

https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vertexq.simulator.bigquery.names import Json, inner, invalid, listed, quoted

_ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_SQL_TYPES = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BIGNUMERIC": "DECIMAL(38,18)",  # narrower than Google's
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
    "GEOGRAPHY": "VARCHAR",
}
_FROM_SQL = {
    "varchar": "STRING",
    "blob": "BYTES",
    "float": "FLOAT",
    "double": "FLOAT",
    "boolean": "BOOLEAN",
    "timestamp with time zone": "TIMESTAMP",
    "timestamp": "DATETIME",
    "date": "DATE",
    "time": "TIME",
    "struct": "RECORD",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column. ``kind`` is BigQuery's name in its REST API (INTEGER, not INT64)."""

    name: str
    kind: str
    mode: str = "NULLABLE"
    fields: tuple[Field, ...] = ()
    about: str = ""

    @property
    def repeated(self) -> bool:
        """Whether it holds an array."""
        return self.mode == "REPEATED"

    @property
    def sql_type(self) -> str:
        """DuckDB's type."""
        one = _SQL_TYPES.get(self.kind) or f"STRUCT({definitions(self.fields)})"
        return f"{one}[]" if self.repeated else one

    def resource(self) -> dict[str, object]:
        """Return the ``TableFieldSchema``."""
        said: dict[str, object] = {"name": self.name, "type": self.kind, "mode": self.mode}
        said |= {"description": self.about} if self.about else {}
        return said | ({"fields": [each.resource() for each in self.fields]} if self.fields else {})


def fields_from(schema: object) -> tuple[Field, ...]:
    """Read a ``TableSchema``; raise ``Refused`` (400) for a column without name or with an unknown type."""
    return tuple(_field_from(inner({"each": each}, "each")) for each in _listed(schema))


def _listed(schema: object) -> list[object]:
    return listed(inner({"schema": schema}, "schema").get("fields"))


def _field_from(said: Json) -> Field:
    name, kind = str(said.get("name") or ""), str(said.get("type") or "").upper()
    kind = _ALIASES.get(kind, kind)
    if not name or (kind not in _SQL_TYPES and kind != "RECORD"):
        raise invalid(f"Invalid value for type: {kind} is not a valid value (field {name})")
    return Field(
        name=name,
        kind=kind,
        mode=str(said.get("mode") or "NULLABLE").upper(),
        fields=fields_from(said),
        about=str(said.get("description") or ""),
    )


def definitions(fields: Iterable[Field]) -> str:
    """Return the columns as DuckDB defines them."""
    return ", ".join(
        f"{quoted(each.name)} {each.sql_type}{' NOT NULL' * (each.mode == 'REQUIRED')}" for each in fields
    )


def schema_resource(fields: Iterable[Field]) -> dict[str, object]:
    """Return the ``TableSchema``."""
    return {"fields": [each.resource() for each in fields]}


def fields_of(description: Sequence[Sequence[Any]]) -> tuple[Field, ...]:
    """Return the columns of a DuckDB result by its ``description``."""
    return tuple(_of_type(str(column[0]), column[1]) for column in description)


def _of_type(name: str, sql_type: Any) -> Field:
    word = str(sql_type)
    if word == "JSON":
        return Field(name=name, kind="JSON")
    if sql_type.id == "list":
        one = _of_type(name, sql_type.children[0][1])
        return Field(name=name, kind=one.kind, mode="REPEATED", fields=one.fields)
    if sql_type.id == "struct":
        below = tuple(_of_type(str(part), each) for part, each in sql_type.children)
        return Field(name=name, kind="RECORD", fields=below)
    return Field(name=name, kind=_plain_kind(str(sql_type.id), word))


def _plain_kind(id_: str, word: str) -> str:
    if id_ == "decimal":  # a literal such as 1.5 is a decimal to DuckDB and a float to BigQuery
        exact = {_SQL_TYPES["NUMERIC"]: "NUMERIC", _SQL_TYPES["BIGNUMERIC"]: "BIGNUMERIC"}
        return exact.get(word, "FLOAT")
    return (
        "INTEGER" if id_.endswith("int") or id_ in {"integer", "uinteger"} else _FROM_SQL.get(id_, "STRING")
    )


def merged(old: Sequence[Field], new: Sequence[Field]) -> tuple[Field, ...]:
    """Return ``new`` if it only adds columns to ``old`` or relaxes them; raise ``Refused`` (400) if not."""
    wanted = {each.name.lower(): each for each in new}
    for each in old:
        found = wanted.get(each.name.lower())
        if found is None or found.sql_type != each.sql_type:
            raise invalid(
                f"Provided Schema does not match Table. Field {each.name} has changed or is missing in new "
                "schema"
            )
        if found.mode == "REQUIRED" and each.mode != "REQUIRED":
            raise invalid(
                f"Provided Schema does not match Table. Field {each.name} has changed mode from {each.mode} "
                "to REQUIRED"
            )
    known = {each.name.lower() for each in old}
    for each in new:
        if each.name.lower() not in known and each.mode == "REQUIRED":
            raise invalid(
                "Provided Schema does not match Table. Cannot add required fields to an existing schema. "
                f"(field: {each.name})"
            )
    return tuple(new)
