"""Jobs under way: each is a task that ends in DONE, well or not, soon or when a fault says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from vertexq.errors import ApiError
from vertexq.simulator.bigquery import jobs
from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.jobs import Job
from vertexq.simulator.bigquery.loads import LoadFailed
from vertexq.simulator.bigquery.names import inner, listed, not_found
from vertexq.simulator.bigquery.uploads import Uploads
from vertexq.simulator.bigquery.warehouse import Warehouse, foreign_errors
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.vertex.buckets import BucketCalls

_AT_ONCE_S = 0.25  # in which a job ends before its insert is answered, if it can
FAIL = "fail:"
"""How the note of a fault ``OTHER`` on ``bigquery.jobs.insert`` begins that names the reason to end with.

With any other note the job only stays RUNNING for ``delay_s``.
"""


class Running:
    """Carries out accepted jobs."""

    def __init__(self, warehouse: Warehouse, buckets: BucketCalls, uploads: Uploads) -> None:
        self._warehouse = warehouse
        self._buckets = buckets
        self._uploads = uploads
        self._tasks: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    async def begin(self, job: Job, paths: Sequence[Path], fault: Fault | None) -> Job:
        """Start a job and return it as it is after a moment."""
        task = asyncio.create_task(self._run(job, paths, fault), name="vertexq-bigquery-job")
        key = (job.project, job.location, job.id)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        slow = fault is not None and fault.action is Action.OTHER and fault.delay_s > 0
        return await self.wait(job, 0.0 if slow else _AT_ONCE_S)

    async def wait(self, job: Job, wait_s: float) -> Job:
        """Return a job when it has ended, or as it is after ``wait_s``."""
        task = self._tasks.get((job.project, job.location, job.id))
        if task is not None and wait_s:
            await asyncio.wait({task}, timeout=wait_s)
        return await self._warehouse.run(
            lambda database: jobs.get(Catalog(database), job.project, job.id, job.location)
        )

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job, paths: Sequence[Path], fault: Fault | None) -> None:
        note = fault.note if fault is not None and fault.action is Action.OTHER else ""
        if fault is not None and note:
            await asyncio.sleep(fault.delay_s)
        fetched: list[Path] = []
        try:
            if note.startswith(FAIL):
                reason = note.removeprefix(FAIL)
                await self._end(jobs.failed(job, reason, f"The simulator was told to fail: {reason}"))
                return
            await self._fetch(job, fetched)
            await self._carry_out(job, [*paths, *fetched])
        finally:
            for path in (*paths, *fetched):
                path.unlink(missing_ok=True)

    async def _carry_out(self, job: Job, paths: Sequence[Path]) -> None:
        try:
            await self._warehouse.run(lambda database: jobs.carry_out(Catalog(database), job, paths))
        except (ApiError, LoadFailed, foreign_errors(), OSError, ValueError) as error:
            await self._end(jobs.failed_by(job, error))

    async def _end(self, job: Job) -> None:
        """Keep how a job ended, unless it was cancelled before."""

        def end(catalog: Catalog) -> None:
            if not jobs.get(catalog, job.project, job.id, job.location).done:
                jobs.put(catalog, job)

        await self._warehouse.run(lambda database: end(Catalog(database)))

    async def _fetch(self, job: Job, into: list[Path]) -> None:
        """Download the objects that a load job reads."""
        for uri in map(str, listed(inner(job.configuration, "load").get("sourceUris"))):
            try:
                found = await self._buckets.matching(uri)
            except ValueError:
                found = []
            if not found:
                await self._end(jobs.failed_by(job, not_found(f"URI {uri}")))
            for each in found:
                into.append(self._uploads.new_path())
                with into[-1].open("wb") as file:
                    async for chunk in self._buckets.content(each):
                        file.write(chunk)
