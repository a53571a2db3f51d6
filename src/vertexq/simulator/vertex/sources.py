"""What a simulated job reads: objects in Cloud Storage, or a table in BigQuery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from vertexq.model import GcsUri, JobError
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.bigquery.fields import Field
from vertexq.simulator.bigquery.names import DatasetName, TableName
from vertexq.simulator.jobs import SimulatedJob
from vertexq.simulator.kinds.base import Kind
from vertexq.simulator.vertex.buckets import BucketCalls
from vertexq.simulator.vertex.table_calls import TableCalls, table_of
from vertexq.simulator.vertex.table_rows import line_of, passed_on
from vertexq.sources.tables import is_table

IMPORT_FAILED = "Failed to import data. "


class Source(Protocol):
    """Where a job's rows come from."""

    passed: Sequence[Field]  # columns that stand beside the request, when it is known which there are

    async def place_fault(self) -> JobError | None:
        """Return why the place cannot be read, before the job looks into it."""
        ...

    async def import_fault(self) -> JobError | None:
        """Find what is to be read; return why nothing can be."""
        ...

    def lines(self) -> AsyncGenerator[bytes]:
        """Yield each row as a line."""
        ...

    def behaviour(self, behaviour: Behaviour) -> Behaviour:
        """Return how jobs that read here behave."""
        ...


class ObjectSource:
    """JSON Lines in Cloud Storage."""

    passed: Sequence[Field] = ()

    def __init__(self, calls: BucketCalls, uris: Sequence[str]) -> None:
        self._calls = calls
        self._uris = uris
        self._found: list[GcsUri] = []

    async def place_fault(self) -> JobError | None:
        """Return Google's error for a bucket that is not there."""
        for uri in self._uris:
            if error := await bucket_fault(self._calls, uri):
                return error
        return None

    async def import_fault(self) -> JobError | None:
        """Find the objects; nobody has published Google's words for one that is not there."""
        for uri in self._uris:
            found = await self._calls.matching(uri)
            if not found:
                return JobError(code=5, message=f"{IMPORT_FAILED}Not found: Uri {uri}")
            self._found += found
        return None

    def lines(self) -> AsyncGenerator[bytes]:
        """Yield the lines of all objects."""
        return self._calls.lines(self._found)

    def behaviour(self, behaviour: Behaviour) -> Behaviour:
        """Change nothing."""
        return behaviour


class TableSource:
    """A table: its rows are no JSON Lines, so that no types are guessed and every column comes along."""

    passed: Sequence[Field] = ()

    def __init__(self, calls: TableCalls, uri: str, kind: Kind, location: str) -> None:
        project, dataset, table = table_of(uri)
        self._calls = calls
        self._name = TableName(project=project, dataset=dataset, table=table)
        self._column = kind.tables.column
        self._location = location
        self._fields: Sequence[Field] = ()

    async def place_fault(self) -> JobError | None:
        """Return the error of a dataset that is not there, or in another place than the job."""
        return await dataset_fault(self._calls, self._name.home, self._location, lead=IMPORT_FAILED)

    async def import_fault(self) -> JobError | None:
        """Look at the columns; the texts are ours."""
        found = await self._calls.fields(self._name)
        if found is None:
            return JobError(code=5, message=f"{IMPORT_FAILED}Not found: Table {self._name}")
        columns = {each.name: each for each in found}
        wanted = columns.get(self._column)
        if wanted is None or wanted.repeated or wanted.kind not in {"JSON", "STRING"}:
            text = f"Table {self._name} has no column {self._column} of type JSON or STRING"
            return JobError(code=3, message=IMPORT_FAILED + text)
        self._fields, self.passed = found, passed_on(found)
        return None

    async def lines(self) -> AsyncGenerator[bytes]:
        """Yield the rows."""
        async with aclosing(self._calls.rows(self._name)) as rows:
            async for values in rows:
                yield line_of(self._fields, values)

    def behaviour(self, behaviour: Behaviour) -> Behaviour:
        """Return the same without the traces that an import of JSON Lines leaves."""
        return replace(behaviour, import_check=False, union_nulls=False, echo=Echo.SIBLINGS)


async def bucket_fault(calls: BucketCalls, uri: str) -> JobError | None:
    """Return Google's error when the bucket of ``uri`` is not there."""
    bucket = GcsUri.parse(uri).bucket
    if await calls.has_bucket(bucket):
        return None
    text = f"Failed to get GCS bucket location for {bucket}. Please check that the bucket exists"
    return JobError(code=9, message=f"{text} and permissions are set correctly.")


async def dataset_fault(calls: TableCalls, name: DatasetName, location: str, *, lead: str) -> JobError | None:
    """Return the error when a dataset is not there or elsewhere (googleapis/python-aiplatform#4112)."""
    if await calls.location(name) == location:
        return None
    return JobError(code=13, message=f"{lead}Not found: Dataset {name} was not found in location {location}")


def source_of(job: SimulatedJob, kind: Kind, buckets: BucketCalls, tables: TableCalls) -> Source:
    """Return what a job reads."""
    if job.input_uris and is_table(job.input_uris[0]):
        return TableSource(tables, job.input_uris[0], kind, job.location)
    return ObjectSource(buckets, job.input_uris)
