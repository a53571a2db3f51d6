"""Roll call: the running jobs of a place in one list, and then whoever did not answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime

from vertexq.errors import NotFound, VertexqError
from vertexq.ledger.watched import Watched, Window
from vertexq.model import Batch, Job
from vertexq.states import JOB_TERMINAL, JobState
from vertexq.steps.looking import is_of
from vertexq.steps.observing import going_on, not_seen, observe
from vertexq.steps.services import Services
from vertexq.steps.strays import report

PAGE = 100
"""Jobs on a page of Google's list; that larger ones are allowed is written nowhere."""
SINGLES = 500
"""So many jobs are asked for one by one in a poll; those of them that are due stay so."""
FEW = 3
"""Up to this many jobs are looked for one by one; after as many calls that failed no more are made."""
NOTED_AT_ONCE = 1000
"""So many jobs are written down in one transaction."""
FOUND_A_PAGE = 10
"""A page of the list of ended jobs is worth it when it may find a job in ten of those looked for."""

_GOES_ON = sorted(set(JobState) - JOB_TERMINAL - {JobState.UNSPECIFIED})


def running_query(since: datetime) -> str:
    """Return Google's filter for our jobs since a moment that have not ended, those in unknown states too.

    Comparisons are joined by AND alone: how AND and OR bind is not said for this list.
    """
    return _query(since, sorted(JOB_TERMINAL))


def ended_query(since: datetime) -> str:
    """Return Google's filter for our jobs since a moment that are in no state that goes on."""
    return _query(since, _GOES_ON)


def _query(since: datetime, but: Iterable[JobState]) -> str:
    terms = ["labels.vertexq:*", f'create_time>="{since:%Y-%m-%dT%H:%M:%SZ}"']
    return " AND ".join([*terms, *(f'state!="{state}"' for state in but)])


class RollCall:
    """One poll of the batches of a window by a list. ``freed`` tells whether a slot is free since."""

    def __init__(self, services: Services, window: Window) -> None:
        self._services = services
        self._window = window
        expected = services.ledger.expected(window)
        self._silent = {_job_id(one.job_name): one for one in expected}  # those not seen yet, by job
        self._to_the_end = any(one.uncertain for one in expected)  # other jobs of theirs may turn up
        self._seen = list[Job]()  # and not written down yet
        self.freed = False

    async def hold(self) -> None:
        """Note every running job of the window, then look for the others: they ended, or are listed late.

        A list that grows longer than single calls would be, because others' jobs are on it, is left; then
        only those that are due are looked for.
        """
        try:
            complete = await self._list(running_query(self._window.since), most_pages=self._window.due)
            self._silent = {job: one for job, one in self._silent.items() if one.due or complete}
            if len(self._silent) > FEW:
                pages = 1 + len(self._silent) // FOUND_A_PAGE
                await self._list(ended_query(self._window.since), most_pages=pages)
        except VertexqError as error:
            self._put_off(error)
            return
        left = [one.id for one in self._silent.values()]
        self.freed |= await ask_for_each(self._services, self._services.ledger.bound_batches(left[:SINGLES]))

    async def _list(self, query: str, *, most_pages: int) -> bool:
        """Read a list until everybody was seen; False when it was left before its end."""
        window, pages = self._window, 0
        listed = self._services.vertex.pages(window.project, window.location, filter=query, page_size=PAGE)
        try:
            async with aclosing(listed):
                async for page in listed:
                    await self._see(page)
                    pages += 1
                    if not self._silent and not self._to_the_end:
                        return True
                    if pages >= most_pages:
                        return False
            return True
        finally:
            await self._note()

    async def _see(self, page: Sequence[Job]) -> None:
        for job in page:
            self._silent.pop(job.job_id, None)
        self._seen += page
        if len(self._seen) >= NOTED_AT_ONCE:
            await self._note()

    async def _note(self) -> None:
        """Write down what was seen of our jobs; the rest are jobs of other ledgers, or strays."""
        jobs, self._seen = self._seen, []
        labels = sorted({job.labels.get("vertexq", "") for job in jobs})
        own = {_job_id(batch.job_name): batch for batch in self._services.ledger.watched(labels)}
        seen = {job.job_id: (own[job.job_id], job) for job in jobs if job.job_id in own}
        going_on(self._services, [one for one in seen.values() if one[1].state not in JOB_TERMINAL])
        self._end([one for one in seen.values() if one[1].state in JOB_TERMINAL])
        ours = {batch.id for batch in own.values()}
        await self._report(
            [job for job in jobs if job.job_id not in own and job.labels.get("vertexq") in ours]
        )

    def _end(self, ended: Sequence[tuple[Watched, Job]]) -> None:
        jobs = {batch.id: job for batch, job in ended}
        for batch in self._services.ledger.bound_batches(list(jobs)) if jobs else []:
            self.freed |= observe(self._services, batch, jobs[batch.id])

    async def _report(self, others: Iterable[Job]) -> None:
        """Report jobs beside the ones that are kept, once all that tells whose they are has been read."""
        for other in others:
            whole = await _named(self._services, other.name)
            for batch in self._services.ledger.bound_batches([other.labels["vertexq"]]):
                if whole is not None and is_of(whole, batch):
                    await report(self._services, batch, [whole])

    def _put_off(self, error: VertexqError) -> None:
        due = [one.id for one in self._silent.values() if one.due]
        for start in range(0, len(due), SINGLES):
            not_seen(self._services, self._services.ledger.watched(due[start : start + SINGLES]), error)


async def ask_for_each(services: Services, batches: Sequence[Batch]) -> bool:
    """Look at jobs one by one, and tell whether a slot is free since.

    When Google fails often, the rest is put off with the last reason.
    """
    freed, failures = False, list[VertexqError]()
    for batch in batches:
        found = await _ask_for(services, batch) if len(failures) < FEW else failures[-1]
        failures += [found] if isinstance(found, VertexqError) and found.retryable else []
        freed = observe(services, batch, found) or freed
    return freed


async def _ask_for(services: Services, batch: Batch) -> Job | VertexqError | None:
    """Return a batch's job, listed by its label, or by its name when the list does not show it.

    None means that Google does not know the name; a job that cannot be had now comes with the reason. On the
    way, other jobs of the batch are reported.
    """
    own, found = _job_id(batch.job_name), None
    query = f'labels.vertexq="{batch.id}"'
    try:
        async for job in services.vertex.list(batch.project, batch.location, filter=query):
            if job.job_id == own:
                found = job
            elif is_of(job, batch):
                await report(services, batch, [job])
        return found or await _named(services, batch.job_name)
    except VertexqError as error:
        return error


async def _named(services: Services, name: str) -> Job | None:
    """Return the job of this name; None when there is none, which a list never says."""
    with suppress(NotFound):
        return await services.vertex.get(name)
    return None


def _job_id(name: str) -> str:
    return name.rpartition("/")[2]
