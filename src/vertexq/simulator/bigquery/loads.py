"""Load jobs: lines of JSON or CSV into a table, all of them or, beyond the allowed bad ones, none.

https://docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-json
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import orjson

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.cells import BadCell, cell_in, cell_sql
from vertexq.simulator.bigquery.fields import Field, fields_from
from vertexq.simulator.bigquery.history import mark
from vertexq.simulator.bigquery.names import Json, TableName, invalid, listed, quoted, table_from
from vertexq.simulator.bigquery.tables import Table
from vertexq.simulator.bigquery.writing import Write, target_table

_BATCH_ROWS = 5_000
_ERRORS_SHOWN = 10
_LOOKED_AT = 500  # rows, when the columns are to be guessed
_GZIP = b"\x1f\x8b"
_JSON = "NEWLINE_DELIMITED_JSON"
_KINDS = {"bool": "BOOLEAN", "int": "INTEGER", "float": "FLOAT", "dict": "RECORD"}
_ABOUT = ("timePartitioning", "rangePartitioning", "clustering")


class LoadFailed(Exception):
    """A load that wrote nothing; ``errors`` are the job's, the first its result."""

    def __init__(self, errors: list[dict[str, object]]) -> None:
        super().__init__(str(errors[0]["message"]))
        self.errors = errors


@dataclass(slots=True)
class _Tally:
    """What a load has seen so far."""

    rows: int = 0
    bad: int = 0
    shown: list[str] = field(default_factory=list[str])


def load(catalog: Catalog, said: Json, paths: Sequence[Path], *, project: str) -> dict[str, object]:
    """Load the files; return the ``statistics.load``. Raise ``LoadFailed``, ``Refused`` and ``NotFound``."""
    name = table_from(said.get("destinationTable"), project=project)
    if (form := str(said.get("sourceFormat") or "CSV")) not in {_JSON, "CSV"}:
        raise invalid(f"The simulator does not load {form}; it takes {_JSON} and CSV")
    given = fields_from(said.get("schema")) or (_guessed(paths, said) if said.get("autodetect") else ())
    about = {key: said[key] for key in _ABOUT if said.get(key)}
    table = target_table(catalog, name, given, Write.from_json(said, write="WRITE_APPEND"), about)
    _check_schema(table, given)
    tally = _fill(catalog, table, given or table.fields, said, paths)
    mark(catalog, table)
    size = sum(path.stat().st_size for path in paths)
    return {
        "inputFiles": str(len(paths)),
        "inputFileBytes": str(size),
        "outputRows": str(tally.rows),
        "outputBytes": str(size),
        "badRecords": str(tally.bad),
    }


def insert(
    catalog: Catalog, name: TableName, fields: Sequence[Field], rows: Sequence[Sequence[object]]
) -> None:
    """Add rows, whose cells ``cell_in`` made, in the columns ``fields``."""
    columns = ", ".join(quoted(each.name) for each in fields)
    makers = ", ".join(cell_sql(each, f"${number}") for number, each in enumerate(fields, 1))
    values = [list(column) for column in zip(*rows, strict=True)]
    catalog.database.run(f"INSERT INTO {name.sql} ({columns}) SELECT {makers}", values)


def cells_of(fields: Sequence[Field], row: Any, *, ignore_unknown: bool) -> list[object]:
    """Return the cells of a JSON row in the order of ``fields``; raise ``BadCell``."""
    if not isinstance(row, dict):
        raise BadCell("Expected a JSON object")
    given = {name.lower(): (name, value) for name, value in cast("dict[str, Any]", row).items()}
    cells = [cell_in(each, given.pop(each.name.lower(), ("", None))[1]) for each in fields]
    if given and not ignore_unknown:
        raise BadCell(f"No such field: {next(iter(given.values()))[0]}.")
    return cells


def _check_schema(table: Table, given: Sequence[Field]) -> None:
    known = {each.name.lower(): each for each in table.fields}
    for each in given:
        mine = known.get(each.name.lower())
        if mine is None:
            raise invalid(
                f"Provided Schema does not match Table {table.name}. Cannot add fields (field: {each.name})"
            )
        if mine.sql_type != each.sql_type:
            raise invalid(
                f"Provided Schema does not match Table {table.name}. Field {each.name} has changed type from "
                f"{mine.kind} to {each.kind}"
            )


def _fill(
    catalog: Catalog, table: Table, fields: Sequence[Field], said: Json, paths: Sequence[Path]
) -> _Tally:
    tally, most_bad = _Tally(), int(str(said.get("maxBadRecords") or 0))
    good = _good_rows(fields, said, paths, tally)
    while rows := list(islice(good, _BATCH_ROWS)):
        insert(catalog, table.name, fields, rows)
        tally.rows += len(rows)
    if tally.bad > most_bad:
        raise LoadFailed(_complaints(tally, most_bad, said))
    return tally


def _good_rows(
    fields: Sequence[Field], said: Json, paths: Sequence[Path], tally: _Tally
) -> Iterator[list[object]]:
    ignore_unknown = bool(said.get("ignoreUnknownValues"))
    read = _json_rows if said.get("sourceFormat") == _JSON else _csv_rows
    for path in paths:
        for start, row in read(path, fields, said):
            try:
                if isinstance(row, BadCell):
                    raise row
                yield cells_of(fields, row, ignore_unknown=ignore_unknown)
            except BadCell as error:
                tally.bad += 1
                if len(tally.shown) < _ERRORS_SHOWN:
                    tally.shown.append(f"JSON parsing error in row starting at position {start}: {error}")


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def _json_rows(path: Path, _: Sequence[Field], __: Json) -> Iterator[tuple[int, object]]:
    with _opened(path) as file:
        start = 0
        for line in file:
            if line.strip():
                yield start, _json_row(line)
            start += len(line)


def _json_row(line: bytes) -> object:
    try:
        row: object = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadCell(f"Parser terminated before end of string: {error}")
    return row


def _csv_rows(path: Path, fields: Sequence[Field], said: Json) -> Iterator[tuple[int, object]]:
    skipped = int(str(said.get("skipLeadingRows") or 0))
    delimiter = str(said.get("fieldDelimiter") or ",")
    null = str(said.get("nullMarker") or "")
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        for number, cells in enumerate(csv.reader(text, delimiter=delimiter)):
            if number >= skipped and cells:
                yield number, _csv_row(cells, fields, null)


def _csv_row(cells: Sequence[str], fields: Sequence[Field], null: str) -> Mapping[str, object] | BadCell:
    if len(cells) > len(fields):
        return BadCell(f"Too many values in row; expected {len(fields)} column(s) but got {len(cells)}")
    pairs = zip(fields, cells, strict=False)
    return {
        each.name: None if cell == null and (null or each.kind != "STRING") else cell for each, cell in pairs
    }


def _guessed(paths: Sequence[Path], said: Json) -> tuple[Field, ...]:
    """Guess the columns of JSON lines from the first rows."""
    if said.get("sourceFormat") != _JSON:
        raise invalid("The simulator guesses columns of JSON only: give a schema")
    found: dict[str, Field] = {}
    for path in paths:
        for _, row in islice(_json_rows(path, (), {}), _LOOKED_AT):
            if isinstance(row, dict):
                found |= {each.name: each for each in _fields_of(cast("dict[str, Any]", row))}
    return tuple(found.values())


def _fields_of(row: Mapping[str, Any]) -> Iterator[Field]:
    for name, value in row.items():
        one: Any = _first(value)
        if one is None:
            continue
        kind = _KINDS.get(type(one).__name__, "STRING")
        mode = "REPEATED" if isinstance(value, list) else "NULLABLE"
        below = tuple(_fields_of(one)) if kind == "RECORD" else ()
        yield Field(name=name, kind=kind, mode=mode, fields=below)


def _first(value: Any) -> Any:
    """Return the first of an array, None of an empty one, and anything else as it is."""
    if not isinstance(value, list):
        return value
    return next(iter(listed(cast("object", value))), None)


def _complaints(tally: _Tally, most_bad: int, said: Json) -> list[dict[str, object]]:
    """Return the errors as BigQuery words them: the result, a summary, the first rows."""
    what = "JSON" if said.get("sourceFormat") == _JSON else "CSV"
    rows, head = tally.rows + tally.bad, "Error while reading data, error message: "
    summary = f"{what} table encountered too many errors, giving up. Rows: {rows}; errors: {tally.bad}."
    more = f"Rows: {rows}; errors: {tally.bad}; max bad: {most_bad}; error percent: 0"
    messages = [
        f"{head}{summary} Please look into the errors[] collection for more details.",
        f"{head}{what} processing encountered too many errors, giving up. {more}",
        *(head + shown for shown in tally.shown),
    ]
    return [{"reason": "invalid", "message": message} for message in messages]
