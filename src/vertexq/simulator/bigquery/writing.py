"""Rows into a table, as loads, copies and queries with a destination write them: dispositions, mismatches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.fields import Field, definitions, schema_resource
from vertexq.simulator.bigquery.history import keep, mark, renumber
from vertexq.simulator.bigquery.names import Json, TableName, duplicate, invalid, listed, not_found, quoted
from vertexq.simulator.bigquery.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """How a job writes: BigQuery's dispositions, and whether it may add columns."""

    create: str = "CREATE_IF_NEEDED"
    write: str = "WRITE_APPEND"
    adds_columns: bool = False

    @classmethod
    def from_json(cls, said: Json, *, write: str = "WRITE_EMPTY") -> Write:
        """Read them of a job's configuration; ``write`` is what such jobs do by default."""
        return cls(
            create=str(said.get("createDisposition") or "CREATE_IF_NEEDED"),
            write=str(said.get("writeDisposition") or write),
            adds_columns="ALLOW_FIELD_ADDITION" in listed(said.get("schemaUpdateOptions")),
        )


def target_table(
    catalog: Catalog, name: TableName, fields: Sequence[Field], how: Write, about: Json | None = None
) -> Table:
    """Return the table to write to, made, emptied or widened as ``how`` says; raise as BigQuery does."""
    found = catalog.find(name)
    if found is None:
        if how.create == "CREATE_NEVER":
            location = catalog.dataset(name.home)["location"]
            raise not_found(f"Table {name} was not found in location {location}")
        return catalog.create(name, {**(about or {}), "schema": schema_resource(fields)})
    if how.write == "WRITE_EMPTY" and found.rows:
        raise duplicate(f"Table {name}")
    if how.write == "WRITE_TRUNCATE":
        return _emptied(catalog, found, fields)
    if how.adds_columns and fields:
        known = {each.name.lower() for each in found.fields}
        more = [each for each in fields if each.name.lower() not in known]
        return catalog.add_columns(found, (*found.fields, *more)) if more else found
    return found


def _emptied(catalog: Catalog, table: Table, fields: Sequence[Field]) -> Table:
    table = keep(catalog, table)
    table = replace(table, fields=tuple(fields) or table.fields)  # it brings its own columns
    columns = definitions(table.fields)
    catalog.database.run(f"CREATE OR REPLACE TABLE {table.name.sql} ({columns})")
    return renumber(catalog, table)


def write_rows(
    catalog: Catalog,
    name: TableName,
    fields: Sequence[Field],
    select: str,
    how: Write,
    values: Sequence[object] = (),
) -> Table:
    """Write what ``select`` finds, in the columns ``fields``, to a table; return it."""
    table = target_table(catalog, name, fields, how)
    known = {each.name.lower() for each in table.fields}
    for each in fields:
        if each.name.lower() not in known:
            raise invalid(
                f"Provided Schema does not match Table {name}. Cannot add fields (field: {each.name})"
            )
    columns = ", ".join(quoted(each.name) for each in fields)
    catalog.database.run(f"INSERT INTO {table.name.sql} ({columns}) {select}", values)
    return mark(catalog, table)
