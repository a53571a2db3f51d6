"""One simulated job on its way from PENDING to its end, as a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

import aiohttp

from vertexq.model import GcsUri, JobError
from vertexq.simulator.behaviour import Behaviour, Behaviours
from vertexq.simulator.jobs import SimulatedJob, Tally
from vertexq.simulator.kinds.base import Answering, Importing, Kind, Task
from vertexq.simulator.kinds.lots import Fate, OutputRow
from vertexq.simulator.timing import Timing
from vertexq.simulator.vertex.buckets import BucketCalls
from vertexq.simulator.vertex.jobs import JobBook
from vertexq.simulator.vertex.sinks import ExportFailed, Sink, destination_fault, sink_of
from vertexq.simulator.vertex.sources import ObjectSource, Source, source_of
from vertexq.simulator.vertex.table_calls import TableCalls
from vertexq.simulator.vertex.turns import Turns
from vertexq.sources.tables import is_table
from vertexq.states import JobState

_LOOK_S = 0.02  # how often a job that is stuck looks whether it still is
_BREATH_ROWS = 100  # after so many rows others have their turn
_AWAY = (JobState.PAUSED, JobState.UPDATING)
_EXPORT_FAILED = "Failed to export data. Error encountered during execution. Retrying may solve the problem."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every run works with."""

    book: JobBook
    buckets: BucketCalls
    tables: TableCalls
    behaviours: Behaviours
    timing: Timing
    seed: int
    may_write: Callable[[str, str], bool]  # whether a project's service agent may write in a bucket
    turns: Turns


class _Over(Exception):
    """The job has ended; the run unwinds."""


class Run:
    """The run of one job. ``nudge`` makes it look at the book at once, after a cancel."""

    def __init__(self, desk: Desk, name: str, kind: Kind) -> None:
        self._desk = desk
        self._name = name
        self._kind = kind
        self._nudged = asyncio.Event()
        self._importer: Importing = kind.importer(desk.behaviours.of("", {}))
        self._source: Source = ObjectSource(desk.buckets, ())
        self._failure: JobError | None = None

    def nudge(self) -> None:
        """Look at the book now."""
        self._nudged.set()

    async def run(self) -> None:
        """Take the job to its end."""
        with contextlib.suppress(_Over):
            try:
                self._source = source_of(self._job, self._kind, self._desk.buckets, self._desk.tables)
                await self._wait_to_run()
                await self._import()
                await self._predict()
            except ExportFailed as error:
                self._fail(JobError(code=13, message=str(error)))
            except (aiohttp.ClientError, OSError, TimeoutError):
                self._fail(JobError(code=13, message=_EXPORT_FAILED))

    @property
    def _job(self) -> SimulatedJob:
        job = self._desk.book.get(self._name)
        if job is None or job.finished:
            raise _Over
        return job

    @property
    def _behaviour(self) -> Behaviour:
        job = self._job
        return self._source.behaviour(self._desk.behaviours.of(job.display_name, job.labels))

    @property
    def _timing(self) -> Timing:
        return self._behaviour.timing or self._desk.timing

    @property
    def _may_export(self) -> bool:
        place = self._job.output_prefix
        if not place.startswith("gs://"):
            return True
        return self._desk.may_write(GcsUri.parse(place).bucket, self._job.project)

    def _put(self, change: Callable[[SimulatedJob, datetime], SimulatedJob]) -> None:
        self._desk.book.put(change(self._job, _now()))

    def _move(self, to: JobState) -> None:
        self._put(lambda job, at: job.moved(to, at))

    def _fail(self, error: JobError) -> None:
        self._put(lambda job, at: job.failed(error, at))

    async def _wait_to_run(self) -> None:
        await self._stay(JobState.PENDING)
        await self._wait(self._timing.pending_s)
        behaviour = self._behaviour
        if self._timing.queued_s or behaviour.expires or behaviour.stuck_state is JobState.QUEUED:
            self._move(JobState.QUEUED)
            await self._wait(self._timing.queued_s)
            await self._stay(JobState.QUEUED)
        if self._behaviour.expires:
            self._move(JobState.EXPIRED)
            raise _Over
        await self._check_places()

    async def _check_places(self) -> None:
        job, desk = self._job, self._desk
        if not job.input_uris or not job.output_prefix:
            self._fail(JobError(code=9, message="The simulator reads and writes no datasets of Vertex AI."))
            raise _Over
        error = await self._source.place_fault()
        error = error or await destination_fault(job, self._behaviour, desk.buckets, desk.tables)
        if error:
            await self._wait(self._timing.bad_bucket_s)
            self._fail(error)
            raise _Over

    async def _import(self) -> None:
        """Look at every line before the first row runs."""
        self._importer = self._kind.importer(self._behaviour)
        if error := await self._source.import_fault():
            self._fail(error)
            raise _Over
        async with contextlib.aclosing(self._source.lines()) as lines:
            async for line in lines:
                if error := self._importer.feed(line):
                    self._fail(error)
                    raise _Over
                if self._importer.rows % _BREATH_ROWS == 0:
                    await self._wait(0)
        if error := self._importer.close():
            self._fail(error)
            raise _Over

    async def _predict(self) -> None:
        job, behaviour = self._job, self._behaviour
        if error := self._desk.turns.fault(job, self._desk.book, strict=behaviour.one_at_a_time):
            self._fail(error)
            raise _Over
        self._move(JobState.RUNNING)
        output = self._sink(job)
        early = "" if behaviour.late_output_info else output.where
        self._put(lambda job, _: replace(job, state_word=behaviour.state_word, output_directory=early))
        await self._rows(self._kind.answerer(self._task(job)), output)
        self._put(lambda job, at: replace(job, output_directory=output.where, updated=at))
        await self._end(output)

    def _sink(self, job: SimulatedJob) -> Sink:
        return sink_of(
            job,
            self._kind,
            self._source.passed,
            self._desk.buckets,
            self._desk.tables,
            behaviour=self._behaviour,
            salt=f"{self._desk.seed}{self._importer.digest}",
        )

    def _task(self, job: SimulatedJob) -> Task:
        behaviour = self._behaviour
        if is_table(job.output_prefix):
            behaviour = replace(behaviour, corrupt_rows=0.0)  # there is no half of a table's row
        return Task(
            seed=self._desk.seed,
            model=job.model,
            behaviour=behaviour,
            shape=self._importer.shape,
            salt=self._importer.digest,
            parameters=cast("dict[str, object]", job.body.get("modelParameters") or {}),
        )

    async def _rows(self, answerer: Answering, output: Sink) -> None:
        """Answer row after row, not faster than ``Timing`` says, until all are done or a cancel comes."""
        tally = Tally(incomplete=self._importer.rows)
        self._count(tally)
        clock = asyncio.get_running_loop().time
        began_s = clock()
        async with contextlib.aclosing(self._source.lines()) as lines:
            done = 0
            async for line in lines:
                await self._incident(done)
                if self._stopping or self._failure:
                    break
                row = answerer.answer(line, _now())
                await output.add(row)
                tally = _counted(tally, row)
                done += 1
                ahead_s = self._timing.due_s(done) - (clock() - began_s)
                if ahead_s > _LOOK_S or done % _BREATH_ROWS == 0:
                    self._count(tally)
                    await self._wait(max(ahead_s, 0))
        if done == self._importer.rows:
            await self._incident(done)
        self._count(tally)
        await self._stay(JobState.RUNNING)
        if not self._stopping:
            await self._wait(self._timing.run_s - (clock() - began_s))
        self._put(lambda job, at: job.counted(tally, at))

    def _count(self, tally: Tally) -> None:
        if self._behaviour.incomplete_unknown:
            tally = replace(tally, incomplete=-1)
        self._put(lambda job, at: job.counted(tally, at))

    @property
    def _stopping(self) -> bool:
        return self._job.state is JobState.CANCELLING and not self._behaviour.cancel_loses

    async def _incident(self, done: int) -> None:
        """Fail, or be away from RUNNING for a while, at the row where ``Behaviour.fail_at`` says so."""
        behaviour = self._behaviour
        if done != int(behaviour.fail_at * self._importer.rows):
            return
        if behaviour.fail_code:
            self._failure = JobError(code=behaviour.fail_code, message=behaviour.fail_message)
            return
        away = behaviour.stuck_state
        if away is not None and away in _AWAY and self._job.state is JobState.RUNNING:
            await self._be_away(away)

    async def _be_away(self, state: JobState) -> None:
        self._move(state)
        await self._stay(state)
        if self._job.state is state:
            self._move(JobState.RUNNING)

    async def _end(self, output: Sink) -> None:
        if self._job.state is JobState.CANCELLING:
            await self._wait(self._timing.cancelling_s)
            await self._stay(JobState.CANCELLING)
        late_s = self._behaviour.late_output_s
        if self._behaviour.export_denied or not self._may_export:
            self._fail(_denied(self._job))
            return
        if output.begun or not self._stopping:
            await output.close()  # a job that ends early exports what it has finished
        if self._failure:
            self._fail(self._failure)
        elif self._stopping:
            self._put(lambda job, at: job.cancelled(at))
        elif self._behaviour.partial:
            self._move(JobState.PARTIALLY_SUCCEEDED)
        else:
            self._move(JobState.SUCCEEDED)
        if output.begun and output.is_late:
            await asyncio.sleep(late_s)  # the job has ended: nothing wakes it any more
            await output.close_late()

    async def _stay(self, state: JobState) -> None:
        """Stay for as long as the behaviour says that jobs are stuck in ``state``, or until a cancel."""
        clock = asyncio.get_running_loop().time
        began_s = clock()
        while self._job.state is state and self._behaviour.stuck_state is state:
            longest_s = self._behaviour.stuck_s
            if longest_s is not None and clock() - began_s >= longest_s:
                return
            await self._wait(_LOOK_S)

    async def _wait(self, seconds: float) -> None:
        """Wait, or not to the end when the job is cancelled in the meantime; raise ``_Over`` if it ended."""
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), seconds)
        self._nudged.clear()
        _ = self._job


def _counted(tally: Tally, row: OutputRow) -> Tally:
    if row.fate is Fate.MISSING:
        return tally
    left = tally.incomplete - 1
    if row.ok:
        return replace(tally, successful=tally.successful + 1, incomplete=left)
    return replace(tally, failed=tally.failed + 1, incomplete=left)


def _denied(job: SimulatedJob) -> JobError:
    agent = f"service-{job.project}@gcp-sa-aiplatform.iam.gserviceaccount.com"
    right, file = "storage.objects.create", f"{job.output_directory}/predictions.jsonl"
    if is_table(job.output_prefix):
        right, file = "bigquery.tables.create", job.output_directory
    what = f'doesn\'t have sufficient permission "{right}" to write {file}.'
    return JobError(code=7, message=f"Service account {agent} {what}")


def _now() -> datetime:
    return datetime.now(UTC)
