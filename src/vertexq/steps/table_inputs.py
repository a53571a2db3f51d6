"""Staged tables, read and made: their rows as lines, and tables of rows that are tried again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from vertexq.errors import NotFound
from vertexq.families import family_for
from vertexq.google.bigquery_messages import TableInfo, TableRef, parameter
from vertexq.google.bigquery_once import query_once, statement
from vertexq.model import Batch
from vertexq.steps.services import Services
from vertexq.steps.table_sql import Handed, in_order, successor

KEPT_S = 30 * 86_400.0
"""How long staged tables are kept: their rows can be tried again as long."""
COPY_S = 900.0
"""How long a statement is waited for at a time; it goes on in BigQuery."""
_PAGE_ROWS = 500  # a page of whole requests is in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInput:
    """A table that a job reads. ``generation`` is the moment that its rows are from, in microseconds."""

    uri: str
    generation: int
    size_bytes: int


async def requests(services: Services, batch: Batch) -> AsyncGenerator[tuple[str, bytes]]:
    """Yield each row of a batch's table in order: our key, and the request as a line has it.

    Raise ``NotFound`` when the table has expired.
    """
    ref, family = TableRef.at(batch.input_uri), family_for(batch)
    info, form = await services.bigquery.table(ref), family.tables
    if info is None or form is None:
        raise gone(batch)
    submission = services.ledger.submission(batch.submission_id)
    sql = in_order(ref, form.column, family.wire.column, is_json=_kind(info, form.column) == "JSON")
    make = family.request_for(submission.parameters)
    pages = services.bigquery.query(batch.project, batch.location, sql, (), page_rows=_PAGE_ROWS)
    async with aclosing(pages):
        async for page in pages:
            for key, text in page.rows:
                yield key, orjson.dumps(make({form.column: text})) if form.plain else str(text).encode()


async def handed_over(
    services: Services, batch_id: str, rests: Sequence[tuple[Batch, Sequence[int]]]
) -> TableInput:
    """Return a table of rows of other batches, in the order of their indexes; it is made at most once."""
    first, begin, handed = rests[0][0], 0, list[Handed]()
    for batch, indexes in rests:
        text = ",".join(map(str, indexes))
        handed.append(Handed(table=TableRef.at(batch.input_uri), indexes=text, begin=begin))
        begin += len(indexes)
    old = handed[0].table
    digest = blake2b(repr(handed).encode(), digest_size=8).hexdigest()
    target = TableRef(
        project=old.project, dataset=old.dataset, table=f"vertexq_in_{batch_id.replace('-', '_')}_{digest}"
    )
    expires_ms = int((services.ledger.now().timestamp() + KEPT_S) * 1000)
    sql = successor(target, handed, family_for(first).wire.column, expires_ms=expires_ms)
    values = [parameter(f"rows_{number}", each.indexes) for number, each in enumerate(handed)]
    await query_once(
        services.bigquery, first.project, first.location, f"vertexq-in-{target.table}",
        statement(sql, values), within_s=COPY_S,
    )  # fmt: skip
    share = sum(batch.input_bytes * len(indexes) // max(batch.rows, 1) for batch, indexes in rests)
    return TableInput(uri=target.address, generation=first.input_generation, size_bytes=share)


def gone(batch: Batch) -> NotFound:
    """Return the error of a staged table that is not there any more."""
    return NotFound(
        f"{batch.input_uri} is not there any more: staged tables are kept for {KEPT_S / 86_400:.0f} days; "
        "submit the rows again",
        status=404,
        code="notFound",
    )


def _kind(info: TableInfo, column: str) -> str:
    return next((each.kind for each in info.columns if each.name.lower() == column), "")
