"""Results in BigQuery: ``bigquery://project.dataset.table``.

One load job is all or nothing, and an id of a job is taken once. So a chunk is one load job, into a landing
table, of its rows, its quarantined lines and the record that its range has moved; and the job's id is made of
the range and of how many chunks it had before. Of two writers at the same place one gets the id; what it knew
is what the landing table said. The other one looks again. The results table is filled by a MERGE when the
submission is finished; until then ``results`` reads what was landed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from vertexq.errors import BadSettings, PositionMoved
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import TableInfo, TableRef
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores import bigquery_sql as sql
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.bigquery_jobs import Place, load_once, merge_once, refusal_of
from vertexq.stores.bigquery_link import Link
from vertexq.stores.bigquery_rows import encoded, encoded_rows
from vertexq.stores.bigquery_tables import made, results_table
from vertexq.stores.columns import VECTOR_COLUMN, result_of
from vertexq.stores.layout import TABLE, split_layout, take_options
from vertexq.stores.poison import unstorable
from vertexq.stores.vectors import UnfitVector, check_lengths, misfit

_PAGE_ROWS = 2_000
_LINES_ROWS = 5_000
_RANGES_ROWS = 20_000
_RANGES_KNOWN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a range is: position, fencing token, and how many chunks it had."""

    position: int
    fence: int
    chunks: int


class BigQueryStore(Store):
    """A table of BigQuery and its landing table; workers anywhere may write it."""

    takes_bigquery_endpoint: ClassVar[bool] = True
    chunk_rows: ClassVar[int | None] = 50_000
    chunk_bytes: ClassVar[int | None] = 16 * 1024 * 1024

    def __init__(self, url: str, *, bigquery_endpoint: str = "") -> None:
        super().__init__(url)
        rest, self._layout = split_layout(url)
        rest, options = take_options(rest.rstrip("?"), "endpoint")
        self._table = _named(rest, self._layout.table)
        self._landing = sql.landing_of(self._table)
        self._link = Link(self._table, endpoint=options.get("endpoint") or bigquery_endpoint)
        self._standings: dict[str, Standing] = {}
        self._tables: tuple[TableInfo, TableInfo] | None = None

    def prepare(self) -> None:
        """Make the tables that are not there and add the columns that a newer vertexq has.

        Raise ``StoreRefused`` without the dataset, ``BadSettings`` for a table that cannot take our rows.
        """
        self._link.run(self._look)

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def location(self, submission_id: str) -> str:
        """Name the table and the condition."""
        return f"BigQuery table {self._table}{self._layout.where(submission_id)}"

    def finish(self, submission_id: str, *, repeats: bool = False) -> None:  # noqa: ARG002  (MERGE sees them all)
        """Bring the best row of each key into the results table; the same landed rows are brought once."""
        parameters = sql.submission_parameters(submission_id)
        content, landed = hashlib.sha256(), False
        for range_id, seq in self._link.rows(self._sql(sql.content()), parameters, page_rows=_RANGES_ROWS):
            content.update(f"{range_id} {seq}\n".encode())
            landed = True
        if landed:
            self._link.run(partial(self._merged, submission_id, content.hexdigest()))
        self._standings.clear()

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results, from a snapshot that later writes do not change."""
        wanted = sorted(outcome.value for outcome in (outcomes if outcomes is not None else Outcome))
        parameters = sql.submission_parameters(submission_id, outcomes=wanted)
        statement = self._sql(sql.results(self._layout, self._looked_at()[1]))
        return map(_result, self._link.rows(statement, parameters, page_rows=_PAGE_ROWS))

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        parameters = sql.submission_parameters(submission_id)
        return map(_line, self._link.rows(self._sql(sql.lines()), parameters, page_rows=_LINES_ROWS))

    def _committed(self, source: SourceRange) -> Committed | None:
        parameters = sql.submission_parameters(source.submission_id, range=source.id)
        found = list(self._link.rows(self._sql(sql.progress()), parameters, page_rows=1))
        self._standings.pop(source.id, None)
        if not found:
            return None
        position, fence, seq, state = found[0]
        self._note(source, Standing(position=position, fence=fence, chunks=seq + 1))
        return Committed(Progress(position=position, state=_bytes(state)), fence)

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        if why := unstorable(chunk.rows) or self._unfit(chunk.rows):
            raise RowsRefused(f"BigQuery cannot hold a row: {why}")
        standing = self._admitted(chunk, fence)
        seq = standing.chunks if standing else 0
        data = encoded(chunk, fence=fence, seq=seq, now=datetime.now(UTC))
        self._standings.pop(chunk.source.id, None)  # not known again before the load has gone well
        purpose = (str(self._landing), self._looked_at()[0].created, chunk.source.id, str(seq))
        if not self._link.run(partial(self._loaded, purpose, data)):
            raise PositionMoved(
                f"{chunk.source.id}: somebody else has written chunk {seq} of it; read the store's progress "
                "again and go on from there"
            )
        self._note(chunk.source, Standing(position=chunk.progress.position, fence=fence, chunks=seq + 1))

    def _admitted(self, chunk: Chunk, fence: int) -> Standing | None:
        """Return where the range is, as far as we know: that it is so still, the job's id will show."""
        known = self._standings.get(chunk.source.id)
        if known is None or known.position != chunk.start or known.fence > fence:
            admit(chunk, self._committed(chunk.source), fence=fence)
            return self._standings.get(chunk.source.id)
        return known

    def _note(self, source: SourceRange, standing: Standing) -> None:
        if len(self._standings) >= _RANGES_KNOWN:
            self._standings.clear()
        self._standings[source.id] = standing

    def _refusal(self, rows: Sequence[Row]) -> str:
        if why := unstorable(rows) or misfit(rows, self._layout.vector, wide=True):
            return why
        try:
            data = encoded_rows(rows)
        except RowsRefused as refused:
            return str(refused)
        return self._link.run(partial(self._tried, data))

    def _unfit(self, rows: Sequence[Row]) -> str:
        try:
            check_lengths(rows, self._layout.vector)
        except UnfitVector as unfit:
            return str(unfit)
        return ""

    async def _tried(self, data: bytes, client: BigQuery, location: str) -> str:
        place = Place(client=client, table=self._landing, location=location)
        return await refusal_of(place, sql.landing_fields(), data)

    async def _loaded(self, purpose: tuple[str, ...], data: bytes, client: BigQuery, location: str) -> bool:
        return await load_once(Place(client=client, table=self._landing, location=location), purpose, data)

    async def _merged(self, submission_id: str, content: str, client: BigQuery, location: str) -> None:
        landing, table = await self._look(client, location)
        purpose = (str(self._table), landing.created, table.created, submission_id)
        statement = self._sql(sql.merge(self._layout, table))
        content = hashlib.sha256(f"{content} {statement}".encode()).hexdigest()[:40]  # other columns: again
        place = Place(client=client, table=self._table, location=location)
        await merge_once(place, purpose, content, statement, sql.submission_parameters(submission_id))

    async def _look(self, client: BigQuery, _: str) -> tuple[TableInfo, TableInfo]:
        """Make what is missing of the landing and the results table, and return them as they are."""
        landing = await made(client, self._landing, sql.landing_about(), sql.landing_fields())
        self._tables = (landing, await results_table(client, self._table, self._layout))
        return self._tables

    def _looked_at(self) -> tuple[TableInfo, TableInfo]:
        return self._tables or self._link.run(self._look)

    def _sql(self, text: str) -> str:
        return text.format(landing=f"`{self._landing}`", results=f"`{self._table}`")


def _named(url: str, table: str) -> TableRef:
    """Return the table that ``url`` names, or else ``table``; raise ``BadSettings``, also for both."""
    name = url.removeprefix("bigquery://")
    whole = _parsed(name)
    found = (
        whole if whole and table in {TABLE, whole.table} else None if whole else _parsed(f"{name}.{table}")
    )
    if found:
        return found
    raise BadSettings(
        f"{url.partition('?')[0]!r} names no table, or table= names another one; write "
        "bigquery://project.dataset.table, and behind a question mark nothing but columns=, vector= and "
        "endpoint=, or bigquery://project.dataset?table=table"
    )


def _parsed(name: str) -> TableRef | None:
    with suppress(ValueError):
        return TableRef.parse(name)
    return None


def _result(values: tuple[Any, ...]) -> Result:
    if values[VECTOR_COLUMN] == []:  # how BigQuery keeps a null
        values = (*values[:VECTOR_COLUMN], None, *values[VECTOR_COLUMN + 1 :])
    return result_of(values)


def _line(values: Sequence[object]) -> QuarantinedLine:
    line = QuarantinedLine._make(values)
    return line._replace(raw=_bytes(line.raw))


def _bytes(value: object) -> bytes:
    return base64.b64decode(str(value or ""))
