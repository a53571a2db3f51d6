"""Jobs and queries as BigQuery's REST API has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from vertexq.errors import ApiError, Refused
from vertexq.simulator._suffer import hang_up
from vertexq.simulator.bigquery import jobs
from vertexq.simulator.bigquery.answers import answer, listing, origin_of
from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.fields import fields_from
from vertexq.simulator.bigquery.jobs import Job
from vertexq.simulator.bigquery.names import Json, inner
from vertexq.simulator.bigquery.pages import page, wanted_from
from vertexq.simulator.bigquery.running import Running
from vertexq.simulator.bigquery.uploads import Upload, Uploads
from vertexq.simulator.bigquery.warehouse import Warehouse
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.storage.upload import read_resource
from vertexq.simulator.vertex.buckets import BucketCalls

T = TypeVar("T")

_WAIT_S = 10.0  # what a query waits for by default


class JobDesk:
    """Takes jobs and uploads, and tells what became of them."""

    def __init__(self, warehouse: Warehouse, uploads: Uploads, buckets: BucketCalls) -> None:
        self._warehouse = warehouse
        self._uploads = uploads
        self._running = Running(warehouse, buckets, uploads)
        self._asked: dict[tuple[str, str], str] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._running.stop()

    async def _do(self, work: Callable[[Catalog], T]) -> T:
        return await self._warehouse.run(lambda database: work(Catalog(database)))

    async def insert(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        """Accept a job without data."""
        return await self._accept(request, read_resource(await request.read()), (), fault)

    async def begin_upload(self, request: web.Request, _: Fault | None) -> web.StreamResponse:
        """Begin a resumable upload."""
        return await self._uploads.begin(request)

    async def upload(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        """Accept a job with its data."""
        upload = await self._uploads.whole(request, fault)
        return await self._accept(request, upload.resource, (upload.path,), fault)

    async def put_piece(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        """Take a piece of a resumable upload; the last one makes the job."""
        found = await self._uploads.put(request, fault)
        if not isinstance(found, Upload):
            return found
        said = await self._accept(request, found.resource, (found.path,), fault)
        self._uploads.finish(request, said.body if isinstance(said.body, bytes) else b"")
        return said

    async def _accept(
        self, request: web.Request, body: Json, paths: tuple[Path, ...], fault: Fault | None
    ) -> web.Response:
        if fault is not None and fault.action is Action.ACCEPT_LATE:
            self._accept_late(request.match_info["project"], body, paths, fault)
            return hang_up(request)
        job = await self._enter(request.match_info["project"], body, paths, fault)
        return answer(job.resource(origin_of(request)), request)

    async def _enter(self, project: str, body: Json, paths: tuple[Path, ...], fault: Fault | None) -> Job:
        try:
            job = await self._do(lambda catalog: jobs.accept(catalog, project, body))
        except ApiError:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        return await self._running.begin(job, paths, fault)

    def _accept_late(self, project: str, body: Json, paths: tuple[Path, ...], fault: Fault) -> None:
        async def late() -> None:
            await asyncio.sleep(fault.delay_s)
            try:
                await self._enter(project, body, paths, None)
            except ApiError:
                return  # another one took the id in the meantime

        task = asyncio.create_task(late(), name="vertexq-bigquery-late")
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def list_jobs(self, request: web.Request, _: Fault | None) -> web.Response:
        """List the jobs of a project, newest first."""
        found = await self._do(lambda catalog: jobs.all_of(catalog, request.match_info["project"]))
        wanted = set(request.query.getall("stateFilter", []))
        kept = ("kind", "id", "jobReference", "configuration", "statistics", "status", "user_email")
        items: list[dict[str, object]] = []
        for each in found:
            resource = each.resource(origin_of(request))
            item: dict[str, object] = {name: resource[name] for name in kept}
            item["state"] = each.state
            if not wanted or each.state.lower() in wanted:
                items.append(item)
        return answer(listing("bigquery#jobList", "jobs", items, request) | {"etag": '"0"'}, request)

    async def get_job(self, request: web.Request, _: Fault | None) -> web.Response:
        """Return a job."""
        return answer((await self._job(request)).resource(origin_of(request)), request)

    async def cancel_job(self, request: web.Request, _: Fault | None) -> web.Response:
        """Cancel a job that has not ended."""

        def cancel(catalog: Catalog) -> Job:
            job = _wanted_job(catalog, request)
            stopped = jobs.failed(job, "stopped", "Job execution was cancelled: User requested cancellation")
            return job if job.done else jobs.put(catalog, stopped)

        job = await self._do(cancel)
        said = {"kind": "bigquery#jobCancelResponse", "job": job.resource(origin_of(request))}
        return answer(said, request)

    async def _job(self, request: web.Request) -> Job:
        return await self._do(lambda catalog: _wanted_job(catalog, request))

    async def query(self, request: web.Request, fault: Fault | None) -> web.Response:
        """Run a query and return what it found, as far as it is done in time."""
        body = read_resource(await request.read())
        project = request.match_info["project"]
        again = (project, str(body.get("requestId") or ""))
        if again[1] and again in self._asked:
            id_ = self._asked[again]
            job = await self._do(lambda catalog: jobs.get(catalog, project, id_, _location(body)))
        else:
            job = await self._enter(project, _query_job(body), (), fault)
            self._asked[again] = job.id
        wait_s = float(str(body.get("timeoutMs") or _WAIT_S * 1000)) / 1000
        asked = {name: str(body[name]) for name in ("maxResults",) if name in body}
        form = inner(body, "formatOptions").get("useInt64Timestamp")
        asked |= {"formatOptions.useInt64Timestamp": str(form)} if form else {}
        said = await self._found(await self._running.wait(job, wait_s), asked)
        return answer({**said, "kind": "bigquery#queryResponse"}, request)

    async def query_results(self, request: web.Request, _: Fault | None) -> web.Response:
        """Return a page of what a query found."""
        job = await self._job(request)
        wait_s = float(request.query.get("timeoutMs") or _WAIT_S * 1000) / 1000
        said = await self._found(await self._running.wait(job, wait_s), dict(request.query))
        return answer({**said, "kind": "bigquery#getQueryResultsResponse", "etag": '"0"'}, request)

    async def _found(self, job: Job, asked: dict[str, str]) -> dict[str, object]:
        """Return what a query found, as far as it is asked for; raise the error that it ended with."""
        said: dict[str, object] = {"jobReference": job.reference(), "jobComplete": job.done}
        if not job.done:
            return said
        if job.error:
            raise Refused(str(job.error["message"]), status=_status(job), code=str(job.error["reason"]))
        query = inner(job.statistics, "query")
        said |= {"totalBytesProcessed": "0", "cacheHit": False}
        said |= {name: query[name] for name in ("numDmlAffectedRows",) if name in query}
        if not job.schema:
            return said | {"totalRows": "0", "schema": job.schema}
        found, token = await self._do(lambda catalog: _page(catalog, job, asked))
        said |= {"schema": job.schema, "totalRows": str(job.rows)}
        said |= {"rows": found} if found else {}
        said |= {"pageToken": token} if token else {}
        return said


def _page(catalog: Catalog, job: Job, asked: dict[str, str]) -> tuple[list[dict[str, object]], str]:
    return page(catalog.database, job.answer, fields_from(job.schema), wanted_from(asked), total=job.rows)


def _query_job(body: Json) -> Json:
    """Return the job that ``jobs.query`` stands for."""
    kept = ("query", "useLegacySql", "queryParameters", "parameterMode", "defaultDataset")
    reference = {"location": body["location"]} if body.get("location") else {}
    return {
        "configuration": {"query": {name: body[name] for name in kept if name in body}},
        "jobReference": reference,
    }


def _location(body: Json) -> str:
    return str(body.get("location") or "")


def _status(job: Job) -> int:
    known = {
        "notFound": 404,
        "duplicate": 409,
        "accessDenied": 403,
        "backendError": 503,
        "internalError": 500,
    }
    return known.get(str(job.error["reason"]), 400)


def _wanted_job(catalog: Catalog, request: web.Request) -> Job:
    place = request.match_info
    return jobs.get(catalog, place["project"], place["job"], request.query.get("location", ""))
