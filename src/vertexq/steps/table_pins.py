"""The first look at a table that is a source: is it there, can it be read, and what later tries keep to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from vertexq.errors import BadSource, NotFound, PreconditionFailed
from vertexq.families import family_for
from vertexq.families.base import TableForm
from vertexq.google.bigquery_messages import Page, TableColumn, TableInfo, TableRef
from vertexq.model import GcsUri, Submission
from vertexq.sources.tables import region_fault
from vertexq.steps.services import Services
from vertexq.steps.table_sql import columns_fault, key_column_of

_PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What was decided when a table was first looked at; later tries keep to it.

    ``at_us`` is the moment as of which it is read, in microseconds since 1970, if it has a past; a view has
    none. ``location`` is the dataset's, ``key_column`` the one with the producer's keys, empty without one.
    ``columns`` are name, type and mode of each at that moment.
    """

    at_us: int
    has_past: bool
    rows_limit: int
    location: str
    key_column: str
    columns: Sequence[tuple[str, str, str]]

    @property
    def table_columns(self) -> list[TableColumn]:
        """Return the columns of the table as it was then."""
        return [
            TableColumn(name=name, kind=kind, mode=mode, resource={}) for name, kind, mode in self.columns
        ]


async def pinned_table(services: Services, submission: Submission, source: TableRef) -> Pin:
    """Return what was written down, or look and write it down: the same after every restart."""
    with suppress(NotFound):
        return await pin_of(services, submission)
    location = await _location(services, submission, source)
    info, family = await _looked_at(services, submission, source), family_for(submission)
    pin = Pin(
        at_us=await _now_us(services, submission, location),
        has_past=info.kind == "TABLE",
        rows_limit=min(services.options.batch_rows, family.rows_limit),
        location=location,
        key_column=key_column_of(info.columns, submission.key_field),
        columns=[(each.name, each.kind, each.mode) for each in info.columns],
    )
    line = orjson.dumps(asdict(pin)) + b"\n"
    try:
        await services.storage.upload(_pin_uri(services, submission), line, if_generation_match=0)
    except PreconditionFailed:
        return await pin_of(services, submission)
    return pin


async def _location(services: Services, submission: Submission, source: TableRef) -> str:
    """Return the dataset's location; raise ``BadSource`` when jobs cannot read a table there."""
    try:
        location = await services.bigquery.location(source)
    except NotFound as error:
        raise _missing(source, error) from error
    if why := region_fault(location, submission.location or services.options.location):
        raise BadSource(f"bq://{source} cannot be read: {why}; nothing was sent")
    return location.lower()


async def table_at(services: Services, source: TableRef) -> TableInfo:
    """Return what is known of the source; raise ``NotFound``."""
    info = await services.bigquery.table(source)
    if info is None:
        raise _missing(source)
    return info


async def _looked_at(services: Services, submission: Submission, source: TableRef) -> TableInfo:
    """Return what is known of the source; raise ``BadSource`` when its columns cannot be a job's input."""
    info, family = await table_at(services, source), family_for(submission)
    why = columns_fault(
        info.columns, form_of(submission), key_field=submission.key_field, wire_key=family.wire.column
    )
    if why:
        raise BadSource(f"bq://{source} cannot be a job's input: {why}; nothing was sent")
    return info


async def _now_us(services: Services, submission: Submission, location: str) -> int:
    """Return BigQuery's own time, in microseconds since 1970: ours may be ahead of it."""
    rows = await answer_of(services, submission, location, "SELECT UNIX_MICROS(CURRENT_TIMESTAMP())")
    return int(rows[0][0])


def _missing(source: TableRef, error: NotFound | None = None) -> NotFound:
    return NotFound(
        f"bq://{source} is not there, or this project may not see it; make it, or check its name, and "
        "enqueue the same again",
        status=404,
        code=error.code if error else "notFound",
    )


def _pin_uri(services: Services, submission: Submission) -> GcsUri:
    """Return where the pin is: where the pins of objects would be, so that they are forgotten alike."""
    return services.options.staging.join(f"{submission.id}/sources.jsonl")


async def pin_of(services: Services, submission: Submission) -> Pin:
    """Return what was written down; raise ``NotFound`` when nothing was."""
    uri = _pin_uri(services, submission)
    there = await services.storage.info(uri)
    data = b"".join([piece async for piece in services.storage.download(uri, generation=there.generation)])
    return Pin(**orjson.loads(data))


def form_of(submission: Submission) -> TableForm:
    """Return what tables of a submission look like; raise ``BadSource`` when its jobs read none."""
    form = family_for(submission).tables
    if form is None:
        raise BadSource(f"jobs of {submission.model} read no tables; nothing was sent")
    return form


async def answer_of(
    services: Services, submission: Submission, location: str, sql: str
) -> list[tuple[Any, ...]]:
    """Return the few rows of a query."""
    return [row async for page in pages(services, submission, location, sql) for row in page.rows]


def pages(services: Services, submission: Submission, location: str, sql: str) -> AsyncGenerator[Page]:
    """Yield what a query finds, page by page."""
    project = submission.project or services.options.project
    return services.bigquery.query(project, location, sql, (), page_rows=_PAGE_ROWS)
