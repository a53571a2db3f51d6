"""The two tables of the BigQuery store: made, widened, and looked at."""

from __future__ import annotations

from collections.abc import Sequence

from vertexq.errors import BadSettings, PreconditionFailed, Unreachable
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import TableInfo, TableRef
from vertexq.stores import bigquery_sql as sql
from vertexq.stores.layout import Layout
from vertexq.stores.table_fit import refused

TRIES = 4
"""How often a table that others change is looked at again."""

Fields = Sequence[dict[str, object]]


async def made(client: BigQuery, ref: TableRef, about: dict[str, object], fields: Fields) -> TableInfo:
    """Return a table with ``fields``: what is missing of it is made. Safe to race."""
    for _ in range(TRIES):
        found = await client.table(ref)
        if found is None:
            await client.create_table(ref, {**about, "schema": {"fields": list(fields)}})
            continue
        lacking = _lacking(found, fields)
        if not lacking:
            return found
        try:
            await client.add_columns(ref, found, lacking)
        except PreconditionFailed:
            continue  # another worker was faster: look again
    raise Unreachable(f"the BigQuery table {ref} was changed {TRIES} times while it was made; try again")


async def results_table(client: BigQuery, ref: TableRef, layout: Layout) -> TableInfo:
    """Return the results table; raise ``BadSettings`` for one that cannot take our rows."""
    found = None if layout.is_whole else await client.table(ref)  # with a layout it is not ours to change
    table = found or await made(client, ref, sql.results_about(layout), sql.results_fields(layout))
    if wrong := refused(ref, sql.faults(layout, table)):
        raise BadSettings(wrong)
    return table


def _lacking(found: TableInfo, fields: Fields) -> list[dict[str, object]]:
    """Return the fields that are not there, to be added as ones that may be null."""
    known = {each.name.lower() for each in found.columns}
    return [
        {**each, "mode": "REPEATED" if each["mode"] == "REPEATED" else "NULLABLE"}
        for each in fields
        if str(each["name"]).lower() not in known
    ]
