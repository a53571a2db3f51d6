"""The jobs of the BigQuery store, each under an id that says what it is for.

A job that has ended badly never takes effect. Only when one is seen to have, the next number is tried; who
comes later walks the same numbers, so that at most one job does what the ids are for.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vertexq.errors import StoreRefused, Unreachable
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import JobInfo, TableRef
from vertexq.stores.base import RowsRefused
from vertexq.stores.google_loop import QUOTA

TRIES = 4
"""How often a job that failed for a reason that passes is begun again, each time under another id."""

# How long a job is waited for at a time. It goes on in BigQuery; who comes next finds it by its id.
_LOAD_S = 120.0
_MERGE_S = 600.0
_FIRST_WAIT_S = 0.5
_WRITER = "vertexq-writer"
_CONTENT = "vertexq-content"

Configuration = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """BigQuery, as seen from one table: the client, and where its jobs run."""

    client: BigQuery
    table: TableRef
    location: str

    async def load(self, job_id: str, configuration: Configuration, data: bytes) -> JobInfo:
        """Run a load to its end."""
        job = await self.client.load(self.table.project, self.location, job_id, configuration, data)
        return await self.client.ended(self.table.project, self.location, job, within_s=_LOAD_S)

    async def found(self, job_id: str) -> JobInfo | None:
        """Return the job of this id, if there is one."""
        return await self.client.job(self.table.project, self.location, job_id)

    async def begun(self, job_id: str, configuration: Configuration) -> JobInfo:
        """Begin a job without data, or return the one that has the id."""
        return await self.client.begin(self.table.project, self.location, job_id, configuration)

    async def ended(self, job: JobInfo) -> JobInfo:
        """Wait for the end of a job."""
        return await self.client.ended(self.table.project, self.location, job, within_s=_MERGE_S)


async def load_once(place: Place, purpose: Sequence[str], data: bytes) -> bool:
    """Load ``data`` unless a load for the same ``purpose`` has gone well; tell whether it was this one.

    Raise ``RowsRefused`` for rows that BigQuery cannot hold, ``Unreachable`` for what passes, and
    ``StoreRefused`` for the rest.
    """
    stem, writer = _digest("load", *purpose), uuid.uuid4().hex
    configuration = load_into(place.table, writer)
    failures, number = 0, 0
    while True:
        job = await place.load(f"vertexq-load-{stem}-{number}", configuration, data)
        mine = job.labels.get(_WRITER) == writer
        if job.went_well:
            return mine
        number += 1
        if mine:
            failures += 1
            await _again(place, job, failures)


async def merge_once(
    place: Place, purpose: Sequence[str], content: str, sql: str, parameters: Sequence[Configuration]
) -> None:
    """Run the statement ``sql`` unless it has gone well for the same ``content``.

    Those for other contents are waited for, so that never two run at the same time. Raise as ``load_once``.
    """
    stem, configuration = _digest("merge", *purpose), _query(sql, parameters, content)
    failures, number = 0, 0
    while True:
        job_id = f"vertexq-merge-{stem}-{number}"
        there = await place.found(job_id)
        job = await place.ended(there or await place.begun(job_id, configuration))
        if job.went_well and job.labels.get(_CONTENT) == content:
            return
        number += 1
        if there is None and not job.went_well:
            failures += 1
            await _again(place, job, failures)


async def refusal_of(place: Place, fields: Sequence[dict[str, object]], data: bytes) -> str:
    """Load rows into a table for trying, which is emptied each time; say why they were refused, or ""."""
    probe = TableRef(
        project=place.table.project, dataset=place.table.dataset, table=f"{place.table.table}_probe"
    )
    configuration = load_into(probe, uuid.uuid4().hex, write="WRITE_TRUNCATE", fields=fields)
    failures = 0
    while True:
        job = await place.load(f"vertexq-probe-{uuid.uuid4().hex}", configuration, data)
        if job.went_well:
            return ""
        if job.reason == "invalid":
            return "BigQuery refused it"
        failures += 1
        await _again(place, job, failures)


async def _again(place: Place, job: JobInfo, failures: int) -> None:
    """Wait before a job is begun again under another id; raise when that is useless, or enough."""
    failed = f"the BigQuery job {job.id} for {place.table} failed: {job.why}"
    if job.reason == "invalid":
        raise RowsRefused(f"{failed}; a row is none that the table can hold")
    if job.reason == QUOTA or (job.may_pass and failures >= TRIES):
        raise Unreachable(f"{failed}; it is tried again later")
    if not job.may_pass:
        raise StoreRefused(f"{failed}; check the table and the rights on it")
    await asyncio.sleep(_FIRST_WAIT_S * 2 ** (failures - 1))


def load_into(
    target: TableRef,
    writer: str,
    *,
    write: str = "WRITE_APPEND",
    fields: Sequence[dict[str, object]] = (),
) -> dict[str, object]:
    """Return the configuration of a load of JSON lines; with ``fields`` the table may be made."""
    load: dict[str, object] = {
        "destinationTable": target.resource(),
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "writeDisposition": write,
        "createDisposition": "CREATE_IF_NEEDED" if fields else "CREATE_NEVER",
        "maxBadRecords": 0,
    }
    load |= {"schema": {"fields": list(fields)}} if fields else {}
    return {"load": load, "labels": {_WRITER: writer}}


def _query(sql: str, parameters: Sequence[Configuration], content: str) -> dict[str, object]:
    said = {
        "query": sql,
        "useLegacySql": False,
        "parameterMode": "NAMED",
        "queryParameters": list(parameters),
    }
    return {"query": said, "labels": {_CONTENT: content}}


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
