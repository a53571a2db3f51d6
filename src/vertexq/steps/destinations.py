"""The dataset that jobs are to write tables in: looked at before anything is paid for."""

from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from hashlib import blake2b

from vertexq.errors import BadInput, NotFound, Refused
from vertexq.google.bigquery_messages import TableRef
from vertexq.model import Submission
from vertexq.sources.destinations import dataset_fault
from vertexq.steps.services import Services

_KEPT = timedelta(hours=1)


async def check_dataset(services: Services, submission: Submission) -> None:
    """Return when tables can be made and read where a submission's jobs are to write.

    Raise ``BadInput`` for a dataset in another region than the jobs, ``NotFound`` for one that is not there,
    ``Refused`` when this account may not make tables in it, or run queries. Whether Google's own account may
    is not known before its job has tried.
    """
    if not submission.destination:
        return
    ref = _probe(submission)
    try:
        place = await services.bigquery.location(ref)
    except NotFound as error:
        raise NotFound(
            f"{submission.destination} is not there; make the dataset, in the region of the jobs, and "
            "enqueue the submission again",
            status=error.status,
            code=error.code,
        ) from error
    location = submission.location or services.options.location
    if why := dataset_fault(submission.destination, place, location):
        raise BadInput(why)
    await _try(services, submission.destination, ref)
    await _try_query(services, submission.project or services.options.project, place)


def _probe(submission: Submission) -> TableRef:
    digest = blake2b(submission.id.encode(), digest_size=8).hexdigest()
    name = f"{submission.destination.removeprefix('bq://')}.vertexq_check_{digest}"
    return TableRef.parse(name)


async def _try(services: Services, destination: str, probe: TableRef) -> None:
    """Make a table and delete it again."""
    expires_ms = int((services.ledger.now() + _KEPT).timestamp() * 1000)
    schema = {"fields": [{"name": "key", "type": "STRING"}]}
    try:
        await services.bigquery.create_table(probe, {"schema": schema, "expirationTime": str(expires_ms)})
        await services.bigquery.delete_table(probe)
    except Refused as error:
        raise Refused(
            f"no table can be made in {destination}: {error}", status=error.status, code=error.code
        ) from error


async def _try_query(services: Services, project: str, location: str) -> None:
    """Run a query that reads nothing, where output tables will be copied."""
    try:
        async with aclosing(services.bigquery.query(project, location, "SELECT 1", ())) as pages:
            async for _ in pages:
                return
    except Refused as error:
        raise Refused(
            f"no query can be run in the project {project}, and output tables are copied by one: {error}",
            status=error.status,
            code=error.code,
        ) from error
