"""``tabledata.insertAll``: rows one request at a time; an ``insertId`` seen before is passed over.

https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll. Google
de-duplicates with best effort for about a minute; the simulator always does, for as long.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.cells import BadCell
from vertexq.simulator.bigquery.history import mark
from vertexq.simulator.bigquery.loads import cells_of, insert
from vertexq.simulator.bigquery.names import Json, TableName, inner, invalid, listed
from vertexq.simulator.bigquery.tables import Table

_REMEMBERED_S = 60.0


class InsertIds:
    """The ids of rows that were inserted in the last minute, for each table."""

    def __init__(self) -> None:
        self._seen: dict[tuple[TableName, str], float] = {}

    def is_new(self, table: TableName, insert_id: str) -> bool:
        """Tell whether this row was not there before; one without an id always is new."""
        now_s = time.monotonic()
        self._seen = {key: at for key, at in self._seen.items() if now_s - at < _REMEMBERED_S}
        return not insert_id or (table, insert_id) not in self._seen

    def note(self, table: TableName, insert_ids: Sequence[str]) -> None:
        """Remember the ids of rows that went in."""
        self._seen |= {(table, each): time.monotonic() for each in insert_ids if each}


def insert_all(catalog: Catalog, name: TableName, body: Json, ids: InsertIds) -> dict[str, object]:
    """Insert the rows of a request and return its answer; raise ``NotFound`` and ``Refused``."""
    table = catalog.table(name)
    asked = [inner({"each": each}, "each") for each in listed(body.get("rows"))]
    if not asked:
        raise invalid("No rows present in the request.")
    made, errors = _made(table, asked, body)
    answer: dict[str, object] = {"kind": "bigquery#tableDataInsertAllResponse"}
    if errors and not body.get("skipInvalidRows"):
        bad = {error["index"] for error in errors}
        errors += [_error(number, "stopped", "") for number in range(len(asked)) if number not in bad]
        return answer | {"insertErrors": errors}
    new = {
        number: row
        for number, row in made.items()
        if ids.is_new(name, str(asked[number].get("insertId") or ""))
    }
    if new:
        insert(catalog, name, table.fields, list(new.values()))
        mark(catalog, table)
        ids.note(name, [str(asked[number].get("insertId") or "") for number in new])
    return answer | ({"insertErrors": errors} if errors else {})


def _made(
    table: Table, asked: Sequence[Json], body: Json
) -> tuple[dict[int, list[object]], list[dict[str, object]]]:
    ignore = bool(body.get("ignoreUnknownValues"))
    made: dict[int, list[object]] = {}
    errors: list[dict[str, object]] = []
    for number, each in enumerate(asked):
        try:
            made[number] = cells_of(table.fields, each.get("json"), ignore_unknown=ignore)
        except BadCell as error:
            errors.append(_error(number, "invalid", str(error)))
    return made, errors


def _error(number: int, reason: str, message: str) -> dict[str, object]:
    detail = {"reason": reason, "location": "", "debugInfo": "", "message": message}
    return {"index": number, "errors": [detail]}
