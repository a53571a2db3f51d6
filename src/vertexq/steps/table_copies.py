"""A table that a job has written: pinned to an instant, copied once, and cut into ranges of rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from vertexq import outputs
from vertexq.errors import BadOutput
from vertexq.failpoints import Failpoint, reach
from vertexq.google.bigquery_messages import TableInfo, TableRef
from vertexq.google.bigquery_once import query_once, statement
from vertexq.ledger import Claim, OutputRange
from vertexq.model import Batch
from vertexq.steps.services import Services
from vertexq.steps.table_names import copy_of, table_at

KEPT = timedelta(days=7)
"""How long a copy is kept that is read from: as long as BigQuery itself remembers what a table was."""

_COPY_S = 300.0
_ROW_BYTES = 4_096  # when BigQuery does not say how large a table is
_DAY_MS = 86_400_000


async def pin_table(services: Services, batch: Batch, claim: Claim) -> list[OutputRange]:
    """Pin the output table as it is now and copy it, unless that has been done; return the batch's ranges.

    A table that is not there, or is empty, is no output. One that has changed since it was pinned is pinned
    once more: rows that are found again are passed over, as in files.
    """
    pinned = services.ledger.ranges(batch.id)
    address = batch.output_directory or batch.output_prefix
    ref = table_at(address)
    found = await services.bigquery.table(ref) if ref else None
    if ref is None or found is None or not found.rows:
        return pinned
    snapshot_ms = snapshot_of(found.modified_ms, services.ledger.now())
    if any((part.object_name, part.generation) == (address, snapshot_ms) for part in pinned):
        return pinned
    copied = await _copied(services, batch, ref, copy_of(address, snapshot_ms), snapshot_ms)
    reach(Failpoint.INGEST_COPIED)
    rows_each = max(services.options.range_bytes * copied.rows // _size_bytes(copied), 1)
    cut = [
        OutputRange(
            batch_id=batch.id, object_name=address, generation=snapshot_ms, start=start, end=end,
            size_bytes=copied.rows, crc32c="",
        )
        for start, end in outputs.cuts(copied.rows, rows_each)
    ]  # fmt: skip
    return services.ledger.pin_ranges(batch, cut, claim=claim)


def snapshot_of(modified_ms: int, now: datetime) -> int:
    """Return the instant to read a table at, in milliseconds since 1970: the same for who comes later.

    It is just behind the last change, or, as BigQuery forgets after some days what a table was, the
    beginning of today. https://docs.cloud.google.com/bigquery/docs/time-travel
    """
    now_ms = int(now.timestamp() * 1000)
    return modified_ms + 1 if now_ms - modified_ms < _DAY_MS else now_ms - now_ms % _DAY_MS


def _size_bytes(found: TableInfo) -> int:
    return found.size_bytes or found.rows * _ROW_BYTES or 1


async def _copied(services: Services, batch: Batch, ref: TableRef, copy: TableRef, at_ms: int) -> TableInfo:
    """Return the copy, made once, however many ask for it."""
    bigquery = services.bigquery
    location = await bigquery.location(ref)
    expires_ms = int((services.ledger.now() + KEPT).timestamp() * 1000)
    sql = (
        f"CREATE TABLE `{copy}` OPTIONS (expiration_timestamp = TIMESTAMP_MILLIS({expires_ms})) AS "
        f"SELECT * FROM `{ref}` FOR SYSTEM_TIME AS OF TIMESTAMP_MILLIS({at_ms})"
    )
    await query_once(bigquery, batch.project, location, copy.table, statement(sql), within_s=_COPY_S)
    copied = await bigquery.table(copy)
    if copied is None or not copied.rows:
        raise BadOutput(
            f"bq://{ref}: the copy {copy} that is read of it was emptied or deleted; change the output table "
            "(a label will do), so that it is copied anew, and enqueue the submission again"
        )
    return copied
