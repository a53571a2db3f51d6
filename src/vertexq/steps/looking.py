"""Looking for the jobs of a batch: by label, by display name, and one by one over the whole location."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from vertexq.ledger import Ledger, Record
from vertexq.model import Batch, Job
from vertexq.states import BatchState, JobState
from vertexq.steps.services import Services, seconds
from vertexq.steps.table_names import is_output_of, stem

SKEW_S = 600.0
"""How far the ledger's clock may be ahead of Google's, in seconds."""

_IN_VAIN = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})
_LATEST = datetime.max.replace(tzinfo=UTC)


async def look(services: Services, batch: Batch, *, everywhere: bool) -> list[Job]:
    """Return the jobs of a batch, of every attempt, the one to be kept first.

    What a filter of Google's list finds may lag behind what was accepted, and nothing says how far. So the
    job is looked for by its label, then by its display name, and ``everywhere`` also among all jobs of the
    location since the first attempt, which are compared here.
    """
    found = await _listed(services, batch, f'labels.vertexq="{batch.id}"')
    if not found:
        found = await _listed(services, batch, f'display_name="{batch.id}"')
    if not found and everywhere:
        since = (_first_sent_at(services.ledger, batch) - seconds(SKEW_S)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = await _listed(services, batch, f'create_time>="{since}"')
    return keep_first(found)


async def _listed(services: Services, batch: Batch, query: str) -> list[Job]:
    jobs = services.vertex.list(batch.project, batch.location, filter=query)
    return [job async for job in jobs if is_of(job, batch)]


def is_of(job: Job, batch: Batch) -> bool:
    """Tell whether a job that bears a batch's id is this ledger's business.

    It is not when it writes to an attempt's folder of the same batch below another staging prefix, or to a
    table of one: then another ledger, which shares the project and was given the same submission, waits for
    it.
    """
    if batch.id not in (job.labels.get("vertexq"), job.display_name):
        return False
    part = "/".join(folder(batch).split("/")[-3:-1])  # the submission and the ordinal
    attempt = re.search(rf"/{re.escape(part)}/a[0-9]+-[a-z2-7]+/?$", job.output_prefix)
    return (attempt is None and not is_output_of(batch.id, job.output_prefix)) or works_here(job, batch)


def works_here(job: Job, batch: Batch) -> bool:
    """Tell whether a job reads or writes in the batch's folder or tables, or does not say where it does."""
    places = [uri for uri in (job.output_prefix, *job.input_uris) if uri]
    table = f".{stem(batch.id, folder(batch))}_"
    return not places or any(uri.startswith(folder(batch)) or table in uri for uri in places)


def folder(batch: Batch) -> str:
    """Return ``gs://…/`` where a batch has its manifest and every attempt its output."""
    return batch.manifest_uri.rpartition("/")[0] + "/"


def keep_first(jobs: Sequence[Job]) -> list[Job]:
    """Order jobs so that the first is the one to keep: the oldest of those that have not failed.

    A job that is there twice, as pages of a list may repeat, is one.
    """
    different = {job.job_id: job for job in jobs}.values()
    return sorted(different, key=lambda job: (job.state in _IN_VAIN, job.create_time or _LATEST, job.job_id))


def _first_sent_at(ledger: Ledger, batch: Batch) -> datetime:
    """Return when the first attempt was sent, from the audit trail."""
    sent = [line.at for line in ledger.audit(Record.BATCH, batch.id) if line.to_state == BatchState.SENDING]
    return min(sent, default=batch.sent_at or batch.created_at)
