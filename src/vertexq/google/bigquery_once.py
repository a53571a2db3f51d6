"""Queries that write a table, each at most once, under ids that say what they are for.

A job that has ended badly never takes effect. Only when one is seen to have, the next number is tried; who
comes later walks the same numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from vertexq.errors import NotFound, Refused, Unreachable
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import JobInfo

TRIES = 4
"""How often a job that failed for a reason that passes is begun again, each time under another id."""

_FIRST_WAIT_S = 0.5


async def query_once(
    client: BigQuery,
    project: str,
    location: str,
    purpose: str,
    configuration: Mapping[str, object],
    *,
    within_s: float,
) -> None:
    """Run a query unless one for the same ``purpose`` (letters, digits, ``_`` and ``-``) has gone well.

    Raise ``Unreachable`` when it has not ended within so many seconds, or failed too often for reasons that
    pass, ``NotFound`` when a table is not there, ``Refused`` for the rest.
    """
    failures, number = 0, 0
    while True:
        job_id = f"{purpose}-{number}"
        there = await client.job(project, location, job_id)
        job = there or await client.begin(project, location, job_id, configuration)
        job = await client.ended(project, location, job, within_s=within_s)
        if job.went_well:
            return
        number += 1
        if there is None:
            failures += 1
            await _again(job, failures)


async def _again(job: JobInfo, failures: int) -> None:
    """Wait before a job is begun again under another id; raise when that is useless, or enough."""
    failed = f"the BigQuery job {job.id} failed: {job.why}"
    if job.may_pass and failures >= TRIES:
        raise Unreachable(f"{failed}; it is tried again later")
    if not job.may_pass:
        kind, status = (NotFound, 404) if job.reason == "notFound" else (Refused, 400)
        raise kind(f"{failed}; check the table and the rights on it", status=status, code=job.reason)
    await asyncio.sleep(_FIRST_WAIT_S * 2 ** (failures - 1))


def statement(sql: str, parameters: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """Return the configuration of a query that says itself what it writes."""
    said: dict[str, object] = {"query": sql, "useLegacySql": False}
    said |= {"parameterMode": "NAMED", "queryParameters": list(parameters)} if parameters else {}
    return {"query": said}
