"""What BigQuery is asked and what it answers, read into our values. No I/O.

Fields: https://docs.cloud.google.com/bigquery/docs/reference/rest/v2. What we do not know in
an answer is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from vertexq.google.messages import Unreadable, inner, items, mapping, text, whole
from vertexq.sources.tables import SCHEME

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"([a-z][a-z0-9.:-]*)\.(\w+)\.([\w-]+)")

PASSING = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
        "resourcesExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
    }
)
"""Reasons that pass: https://docs.cloud.google.com/bigquery/docs/error-messages."""

_CONFLICT = re.compile("concurrent update|serialize access")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    """A table, as ``project.dataset.table``."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, name: str) -> TableRef:
        """Read ``project.dataset.table``; raise ``ValueError`` for anything else."""
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is not of the form project.dataset.table")
        return cls(project=found[1], dataset=found[2], table=found[3])

    @classmethod
    def at(cls, address: str) -> TableRef:
        """Read ``bq://project.dataset.table``; raise ``ValueError`` for anything else."""
        return cls.parse(address.removeprefix(SCHEME))

    @property
    def address(self) -> str:
        """Return ``bq://project.dataset.table``."""
        return f"{SCHEME}{self}"

    def __str__(self) -> str:
        """Return ``project.dataset.table``."""
        return f"{self.project}.{self.dataset}.{self.table}"

    def resource(self) -> dict[str, str]:
        """Return the ``tableReference``."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column of a table that is there; ``kind`` is BigQuery's word, such as STRING or INTEGER."""

    name: str
    kind: str
    mode: str
    resource: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """A table that is there; ``etag`` changes when its metadata do, ``created`` when it is made anew.

    ``modified_ms`` is when its rows or metadata were changed last, in milliseconds since 1970; ``rows`` and
    ``size_bytes`` leave out what is still being streamed in.
    """

    etag: str
    created: str
    columns: tuple[TableColumn, ...]
    kind: str = "TABLE"  # or VIEW, EXTERNAL, …
    rows: int = 0
    size_bytes: int = 0
    modified_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job. ``reason`` is BigQuery's word for why it failed, empty while it runs and when it went well.

    ``message`` may quote rows when the reason is ``invalid``: it is for nobody's eyes then.
    """

    id: str
    done: bool
    reason: str = ""
    message: str = ""
    labels: Mapping[str, str]

    @property
    def went_well(self) -> bool:
        """Tell whether it did what it was for."""
        return self.done and not self.reason

    @property
    def may_pass(self) -> bool:
        """Tell whether the same job under another id may go well."""
        return self.reason in PASSING or bool(_CONFLICT.search(self.message))

    @property
    def why(self) -> str:
        """Say why it failed, without what BigQuery may have quoted from rows."""
        return self.reason if self.reason == "invalid" else f"{self.reason}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """Some rows of a table that has ``total`` of them; ``cells`` are a row's values as they came."""

    total: int
    cells: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of what a query found; ``token`` is empty on the last page, ``done`` while it still runs."""

    job_id: str
    done: bool
    token: str
    rows: tuple[tuple[Any, ...], ...]


def parameter(name: str, value: str | int | Sequence[str]) -> dict[str, object]:
    """Return a named query parameter: STRING, INT64, or an array of STRING."""
    if isinstance(value, str):
        return {"name": name, "parameterType": {"type": "STRING"}, "parameterValue": {"value": value}}
    if isinstance(value, int):
        return {"name": name, "parameterType": {"type": "INT64"}, "parameterValue": {"value": str(value)}}
    kind = {"type": "ARRAY", "arrayType": {"type": "STRING"}}
    values = [{"value": each} for each in value]
    return {"name": name, "parameterType": kind, "parameterValue": {"arrayValues": values}}


def table_from(value: object) -> TableInfo:
    """Read a ``Table``."""
    said = mapping(value)
    fields = map(mapping, items(inner(said, "schema").get("fields")))
    columns = tuple(
        TableColumn(
            name=text(each, "name"),
            kind=text(each, "type"),
            mode=text(each, "mode") or "NULLABLE",
            resource=each,
        )
        for each in fields
    )
    return TableInfo(
        etag=text(said, "etag"),
        created=text(said, "creationTime"),
        columns=columns,
        kind=text(said, "type") or "TABLE",
        rows=whole(said.get("numRows")) or 0,
        size_bytes=whole(said.get("numBytes")) or 0,
        modified_ms=whole(said.get("lastModifiedTime")) or 0,
    )


def table_page_from(value: object) -> TablePage:
    """Read a ``TableDataList``; raise ``Unreadable`` when it does not say how many rows the table has."""
    said = mapping(value)
    total = whole(said.get("totalRows"))
    if total is None:
        raise Unreadable("the page does not say how many rows the table has")
    rows = (items(mapping(row).get("f")) for row in items(said.get("rows")))
    return TablePage(total=total, cells=tuple(tuple(mapping(cell).get("v") for cell in row) for row in rows))


def job_from(value: object) -> JobInfo:
    """Read a ``Job``; raise ``Unreadable`` when it has no id."""
    said = mapping(value)
    id_, status = text(inner(said, "jobReference"), "jobId"), inner(said, "status")
    if not id_:
        raise Unreadable("the job has no readable id")
    error = inner(status, "errorResult")
    labels = inner(said, "configuration", "labels")
    return JobInfo(
        id=id_,
        done=text(status, "state") == "DONE",
        reason=(text(error, "reason") or "unknown") if error else "",
        message=text(error, "message"),
        labels={name: str(label) for name, label in labels.items()},
    )


def page_from(value: object) -> Page:
    """Read a ``QueryResponse`` or a ``GetQueryResultsResponse``; raise ``Unreadable`` without a job."""
    said = mapping(value)
    job_id = text(inner(said, "jobReference"), "jobId")
    done = said.get("jobComplete") is True
    if done and not job_id:
        raise Unreadable("the query has no readable job")
    fields = [mapping(each) for each in items(inner(said, "schema").get("fields"))]
    kinds = [text(each, "type") for each in fields]
    rows = (items(mapping(row).get("f")) for row in items(said.get("rows")))
    return Page(
        job_id=job_id,
        done=done,
        token=text(said, "pageToken"),
        rows=tuple(_row(kinds, cells) for cells in rows),
    )


def _row(kinds: Sequence[str], cells: Sequence[object]) -> tuple[Any, ...]:
    if len(kinds) != len(cells):
        raise Unreadable("a row has more or fewer values than there are columns")
    pairs = zip(kinds, cells, strict=True)
    return tuple(_value(kind, mapping(cell).get("v")) for kind, cell in pairs)


def _value(kind: str, value: object) -> Any:
    """Read a value; BigQuery writes numbers and instants (whole microseconds) as text."""
    if isinstance(value, list):  # a repeated column
        return [_value(kind, mapping(each).get("v")) for each in cast("list[object]", value)]
    if not isinstance(value, str):
        return value
    if kind in {"INTEGER", "INT64"}:
        return whole(value)
    if kind in {"FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"}:
        return float(value)
    if kind == "TIMESTAMP":
        return _EPOCH + timedelta(microseconds=int(value))
    return value
