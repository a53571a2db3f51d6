"""What a simulated job writes: files in Cloud Storage, or a table in BigQuery."""

from __future__ import annotations

import random
import tempfile
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from vertexq.model import JobError
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.bigquery.fields import Field
from vertexq.simulator.bigquery.names import DatasetName, TableName
from vertexq.simulator.jobs import SimulatedJob
from vertexq.simulator.kinds.base import Kind
from vertexq.simulator.kinds.lots import OutputRow
from vertexq.simulator.vertex.buckets import BucketCalls
from vertexq.simulator.vertex.output import WINDOW_ROWS, Output
from vertexq.simulator.vertex.sources import bucket_fault, dataset_fault
from vertexq.simulator.vertex.table_calls import TableCalls, table_of
from vertexq.simulator.vertex.table_rows import OutputColumns

EXPORT_FAILED = "Failed to export data. "


class ExportFailed(Exception):
    """What a job has done could not be written; the text is Google's."""


class Sink(Protocol):
    """Where a job's answers go. What is written is there after ``close``, not before."""

    where: str  # as the job's ``outputInfo`` says it

    @property
    def begun(self) -> bool:
        """Whether there is any line yet."""
        ...

    @property
    def is_late(self) -> bool:
        """Whether something is published after the job has ended, by ``close_late``."""
        ...

    async def add(self, row: OutputRow) -> None:
        """Take the output of one row."""
        ...

    async def close(self) -> None:
        """Publish what is there, all but what is late; raise ``ExportFailed``."""
        ...

    async def close_late(self) -> None:
        """Publish what is late."""
        ...


class TableOutput:
    """A table that appears at the end, written by one load job; until then its rows are on disk."""

    def __init__(
        self,
        calls: TableCalls,
        name: TableName,
        location: str,
        columns: OutputColumns,
        *,
        behaviour: Behaviour,
        salt: str,
    ) -> None:
        self.where = f"bq://{name.project}.{name.dataset}.{name.table}"
        self._calls, self._name, self._location, self._columns = calls, name, location, columns
        self._behaviour = behaviour
        self._dice = random.Random(salt)
        self._window: list[bytes] = []
        self._kept = tempfile.TemporaryFile(prefix="vertexq-table-")  # noqa: SIM115  (closed below)
        weakref.finalize(self, self._kept.close)
        self._lines = 0

    @property
    def begun(self) -> bool:
        """Whether there is any row yet."""
        return bool(self._lines or self._window)

    @property
    def is_late(self) -> bool:
        """Whether the table appears after the job has ended."""
        return self._behaviour.late_output_s > 0

    async def add(self, row: OutputRow) -> None:
        """Take the output of one row; rows change places with others near them."""
        self._window += row.lines
        if len(self._window) >= WINDOW_ROWS:
            self._flush()

    async def close(self) -> None:
        """Load the rows; raise ``ExportFailed``."""
        if not self.is_late:
            await self.close_late()

    async def close_late(self) -> None:
        """Load the rows."""
        self._flush()
        self._kept.seek(0)
        await self._calls.create_dataset(self._name.home, self._location)
        failed = await self._calls.load(
            self._name,
            self._columns.fields,
            self._kept,
            location=self._location,
            replace=self._behaviour.table_may_exist,
        )
        if failed:
            raise ExportFailed(EXPORT_FAILED + failed)

    def _flush(self) -> None:
        if self._behaviour.shuffle:
            self._dice.shuffle(self._window)
        for line in self._window:
            self._kept.write(self._columns.row(line) + b"\n")
            self._lines += 1
        self._window.clear()


async def destination_fault(
    job: SimulatedJob, behaviour: Behaviour, buckets: BucketCalls, tables: TableCalls
) -> JobError | None:
    """Return why a job could not write where it is to."""
    if not job.output_prefix.startswith("bq://"):
        return await bucket_fault(buckets, job.output_prefix)
    project, dataset, table = table_of(job.output_prefix)
    if not dataset:
        return None  # one is made
    home = DatasetName(project=project, dataset=dataset)
    if error := await dataset_fault(tables, home, job.location, lead=EXPORT_FAILED):
        return error
    name = TableName(project=project, dataset=dataset, table=table)
    if table and not behaviour.table_may_exist and await tables.fields(name) is not None:
        return JobError(code=6, message=f"{EXPORT_FAILED}Already Exists: Table {name}")
    return None


def sink_of(
    job: SimulatedJob,
    kind: Kind,
    passed: Sequence[Field],
    buckets: BucketCalls,
    tables: TableCalls,
    *,
    behaviour: Behaviour,
    salt: str,
) -> Sink:
    """Return what a job writes; names that it was not given are made of the time."""
    now = datetime.now(UTC)
    if not job.output_prefix.startswith("bq://"):
        word = kind.word(job.model)
        directory = f"{job.output_prefix.rstrip('/')}/prediction-{word}-{now:%Y-%m-%dT%H:%M:%S.%f}Z"
        return Output(buckets, directory, kind=kind, behaviour=behaviour, salt=salt)
    name = _table_name(job, now)
    columns = OutputColumns(kind.tables, passed, response_as_text=behaviour.response_as_text)
    return TableOutput(tables, name, job.location, columns, behaviour=behaviour, salt=salt)


def _table_name(job: SimulatedJob, now: datetime) -> TableName:
    project, dataset, table = table_of(job.output_prefix)
    stamp = f"{now:%Y_%m_%dT%H_%M_%S}_{now.microsecond // 1000:03}Z_{job.number:03}"
    if not dataset:
        model = "".join(letter if letter.isalnum() else "_" for letter in job.model.rpartition("/")[2])
        return TableName(project=project, dataset=f"prediction_{model}_{stamp}", table="predictions")
    return TableName(project=project, dataset=dataset, table=table or f"predictions_{stamp}")
