"""Jobs: accepted once under each id, carried out in one transaction, kept with what became of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from vertexq.errors import ApiError
from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.fields import schema_resource
from vertexq.simulator.bigquery.history import as_of
from vertexq.simulator.bigquery.loads import LoadFailed, load
from vertexq.simulator.bigquery.names import (
    Json,
    TableName,
    check_id,
    duplicate,
    inner,
    invalid,
    listed,
    not_found,
    quoted,
    table_from,
)
from vertexq.simulator.bigquery.queries import run_query
from vertexq.simulator.bigquery.writing import Write, write_rows

KINDS = ("load", "query", "copy")
DONE = "DONE"
_MULTI_REGIONS = frozenset({"US", "EU"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. ``schema`` and ``rows`` are of what its query found; times are milliseconds since 1970."""

    project: str
    location: str
    id: str
    configuration: Json
    state: str = "RUNNING"
    error: Json = field(default_factory=dict[str, object])
    errors: tuple[Json, ...] = ()
    created_ms: int = 0
    ended_ms: int = 0
    statistics: Json = field(default_factory=dict[str, object])
    schema: Json = field(default_factory=dict[str, object])
    rows: int = 0

    @property
    def kind(self) -> str:
        """What it does: load, query or copy."""
        return next(kind for kind in KINDS if kind in self.configuration)

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state == DONE

    @property
    def answer(self) -> str:
        """The table of DuckDB with what its query found, quoted."""
        return f"_results.{quoted(f'{self.project}/{self.location}/{self.id}')}"

    @property
    def said(self) -> Json:
        """Its configuration."""
        return inner(self.configuration, self.kind)

    def reference(self) -> dict[str, object]:
        """Return the ``jobReference``."""
        return {"projectId": self.project, "jobId": self.id, "location": self.location}

    def resource(self, origin: str) -> dict[str, object]:
        """Return the ``Job``; ``origin`` is the simulator's scheme and host."""
        status: dict[str, object] = {"state": self.state}
        status |= {"errorResult": self.error, "errors": list(self.errors)} if self.error else {}
        path = f"projects/{self.project}/jobs/{self.id}?location={self.location}"
        times = {"creationTime": str(self.created_ms), "startTime": str(self.created_ms)}
        times |= {"endTime": str(self.ended_ms)} if self.done else {}
        return {
            "kind": "bigquery#job",
            "etag": f'"{self.ended_ms or self.created_ms:x}"',
            "id": f"{self.project}:{self.location}.{self.id}",
            "selfLink": f"{origin}/bigquery/v2/{path}",
            "jobReference": self.reference(),
            "configuration": {**self.configuration, "jobType": self.kind.upper()},
            "status": status,
            "statistics": {**times, **self.statistics},
            "user_email": "caller@simulated-project.iam.gserviceaccount.com",
        }


def accept(catalog: Catalog, project: str, body: Json) -> Job:
    """Enter a job; raise ``Refused``: 400 for a body that is none, 409 when the id is taken."""
    configuration, reference = inner(body, "configuration"), inner(body, "jobReference")
    kinds = [kind for kind in KINDS if kind in configuration]
    if len(kinds) != 1:
        raise invalid("Job configuration must contain exactly one job-specific configuration object")
    location = str(reference.get("location") or _location(catalog, project, configuration, kinds[0]))
    location = location.upper() if location.upper() in _MULTI_REGIONS else location.lower()
    id_ = check_id(str(reference.get("jobId") or f"job_{uuid.uuid4().hex}"), "job")
    if find(catalog, project, id_, location) is not None:
        raise duplicate(f"Job {project}:{location}.{id_}")
    job = Job(project=project, location=location, id=id_, configuration=configuration, created_ms=_now_ms())
    return put(catalog, job)


def find(catalog: Catalog, project: str, id_: str, location: str) -> Job | None:
    """Return the job of this id in a location, or None."""
    sql = "SELECT body FROM _sim.jobs WHERE project = ? AND id = ? AND location = ?"
    found = catalog.database.run(sql, [project, id_, location])
    return _job_from(found[0][0]) if found else None


def get(catalog: Catalog, project: str, id_: str, location: str) -> Job:
    """Return a job or raise ``NotFound``; without a ``location`` only US and EU are looked at."""
    for place in [location] if location else sorted(_MULTI_REGIONS):
        same = place.upper() if place.upper() in _MULTI_REGIONS else place.lower()
        if job := find(catalog, project, id_, same):
            return job
    raise not_found(f"Job {project}:{location or 'US'}.{id_}")


def all_of(catalog: Catalog, project: str) -> list[Job]:
    """Return the jobs of a project, newest first."""
    found = catalog.database.run("SELECT body FROM _sim.jobs WHERE project = ?", [project])
    return sorted(
        (_job_from(body) for (body,) in found), key=lambda job: (job.created_ms, job.id), reverse=True
    )


def put(catalog: Catalog, job: Job) -> Job:
    """Keep a job as it is now."""
    place = [job.project, job.location, job.id]
    catalog.database.run("DELETE FROM _sim.jobs WHERE project = ? AND location = ? AND id = ?", place)
    body = orjson.dumps(asdict(job)).decode()
    catalog.database.run("INSERT INTO _sim.jobs VALUES (?, ?, ?, ?)", [*place, body])
    return job


def stop_unfinished(catalog: Catalog) -> None:
    """End the jobs that an earlier run of the simulator left behind: what they were to read is gone."""
    for (body,) in catalog.database.run("SELECT body FROM _sim.jobs"):
        job = _job_from(body)
        if not job.done:
            put(catalog, failed(job, "stopped", "Job execution was cancelled: the simulator was stopped"))


def carry_out(catalog: Catalog, job: Job, paths: Sequence[Path]) -> Job:
    """Do what the job is for, unless it has ended already; raise what keeps it from being done."""
    now = find(catalog, job.project, job.id, job.location)
    if now is None or now.done:
        return now or job
    _check_places(catalog, job)
    run = {"load": _loaded, "query": _queried, "copy": _copied}[job.kind]
    done = run(catalog, job, paths)
    return put(catalog, replace(done, state=DONE, ended_ms=_now_ms()))


def failed(job: Job, reason: str, message: str, errors: Sequence[Json] = ()) -> Job:
    """Return the job as it ended in an error."""
    error = {"reason": reason, "message": message}
    return replace(job, state=DONE, error=error, errors=tuple(errors) or (error,), ended_ms=_now_ms())


def failed_by(job: Job, error: Exception) -> Job:
    """Return the job as ``error`` ended it."""
    if isinstance(error, LoadFailed):
        return failed(job, str(error.errors[0]["reason"]), str(error), error.errors)
    if isinstance(error, ApiError):
        return failed(job, error.code or "invalid", str(error))
    first = str(error).partition("\n")[0]  # DuckDB's, as of a value that does not fit
    return failed(job, "invalid", f"Error while reading data, error message: {first}")


def _loaded(catalog: Catalog, job: Job, paths: Sequence[Path]) -> Job:
    return replace(job, statistics={"load": load(catalog, job.said, paths, project=job.project)})


def _queried(catalog: Catalog, job: Job, _: Sequence[Path]) -> Job:
    done = run_query(catalog, job.said, project=job.project, answer=job.answer)
    said: dict[str, object] = {"statementType": done.kind, "totalBytesProcessed": "0", "cacheHit": False}
    said |= {} if done.changed is None else {"numDmlAffectedRows": str(done.changed)}
    schema = schema_resource(done.fields) if done.fields else {}
    return replace(job, statistics={"query": said}, schema=schema, rows=done.rows)


def _copied(catalog: Catalog, job: Job, _: Sequence[Path]) -> Job:
    said = job.said
    target = table_from(said.get("destinationTable"), project=job.project)
    how = Write.from_json(said)
    sources = listed(said.get("sourceTables")) or [said.get("sourceTable")]
    for number, each in enumerate(sources):
        name = table_from(each, project=job.project)
        bare, at, moment = name.table.partition("@")
        source = catalog.table(replace(name, table=bare))
        select = as_of(source, int(moment) * 1000) if at else f"SELECT * FROM {source.name.sql}"
        select = select if not at else f"SELECT * FROM {select}"
        rest = replace(how, write="WRITE_APPEND") if number else how
        write_rows(catalog, target, source.fields, select, rest)
    return replace(job, statistics={"copy": {"copiedRows": str(catalog.table(target).rows)}})


def _check_places(catalog: Catalog, job: Job) -> None:
    """Raise ``NotFound`` when a job runs elsewhere than the dataset that it writes to."""
    target = inner(job.said, "destinationTable")
    if not target:
        return
    home = table_from(target, project=job.project).home
    if catalog.dataset(home)["location"] != job.location:
        raise not_found(f"Dataset {home} was not found in location {job.location}")


def _location(catalog: Catalog, project: str, configuration: Json, kind: str) -> str:
    """Return where a job runs that does not say it: where its dataset is."""
    said = inner(configuration, kind)
    named = inner(said, "destinationTable") or inner(said, "defaultDataset")
    if not named.get("datasetId"):
        return "US"
    name = TableName(
        project=str(named.get("projectId") or project), dataset=str(named["datasetId"]), table=""
    )
    try:
        return str(catalog.dataset(name.home)["location"])
    except ApiError:
        return "US"


def _job_from(body: str) -> Job:
    return Job(**orjson.loads(body))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
