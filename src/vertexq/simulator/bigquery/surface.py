"""The BigQuery surface: datasets, tables, rows and jobs, over DuckDB.

What it speaks is REST, v2: https://docs.cloud.google.com/bigquery/docs/reference/rest.
What it does not do is refused, never pretended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from vertexq.errors import ApiError, Refused
from vertexq.simulator._suffer import with_faults
from vertexq.simulator.bigquery import jobs
from vertexq.simulator.bigquery.answers import answer, failure, listing, origin_of, refusal
from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.job_desk import JobDesk
from vertexq.simulator.bigquery.names import (
    DatasetName,
    Json,
    TableName,
    check_id,
    inner,
    invalid,
    table_from,
)
from vertexq.simulator.bigquery.pages import page as rows_page
from vertexq.simulator.bigquery.pages import wanted_from
from vertexq.simulator.bigquery.queries import view_sql
from vertexq.simulator.bigquery.streaming import InsertIds, insert_all
from vertexq.simulator.bigquery.uploads import Uploads
from vertexq.simulator.bigquery.warehouse import Warehouse
from vertexq.simulator.faults import Fault, Faults
from vertexq.simulator.storage.upload import read_resource
from vertexq.simulator.vertex.buckets import BucketCalls

T = TypeVar("T")
_Handler = Callable[[web.Request, Fault | None], Awaitable[web.StreamResponse]]

_PROJECT = "/bigquery/v2/projects/{project}"
_DATASETS = _PROJECT + "/datasets"
_DATASET = _DATASETS + "/{dataset}"
_TABLE = _DATASET + "/tables/{table}"
_JOBS = _PROJECT + "/jobs"
_QUERIES = _PROJECT + "/queries"
_UPLOAD = "/upload" + _JOBS
_INSERT = "bigquery.jobs.insert"


class BigQuerySurface:
    """BigQuery over a DuckDB file below ``home``; gs:// is the Cloud Storage at ``storage_url``."""

    def __init__(self, *, home: Path, faults: Faults, storage_url: str, required_token: str = "") -> None:
        self._faults = faults
        self._required_token = required_token
        self._warehouse = Warehouse(home / "data.duckdb")
        self._uploads = Uploads(home / "uploads")
        self._buckets = BucketCalls(storage_url, token=required_token)
        self._desk = JobDesk(self._warehouse, self._uploads, self._buckets)
        self._ids = InsertIds()

    async def start(self) -> None:
        """End the jobs that an earlier run left behind."""
        await self._buckets.open()
        if self._warehouse.used:
            await self._do(jobs.stop_unfinished)

    async def stop(self) -> None:
        """Close everything. Safe to repeat."""
        await self._desk.stop()
        await self._warehouse.close()
        await self._buckets.close()
        self._uploads.close()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes, each under the name its method has in Google's discovery document."""
        named: list[tuple[str, str, str, _Handler]] = [
            ("POST", _DATASETS, "bigquery.datasets.insert", self._insert_dataset),
            ("GET", _DATASETS, "bigquery.datasets.list", self._list_datasets),
            ("GET", _DATASET, "bigquery.datasets.get", self._get_dataset),
            ("DELETE", _DATASET, "bigquery.datasets.delete", self._delete_dataset),
            ("POST", _DATASET + "/tables", "bigquery.tables.insert", self._insert_table),
            ("GET", _DATASET + "/tables", "bigquery.tables.list", self._list_tables),
            ("GET", _TABLE, "bigquery.tables.get", self._get_table),
            ("PATCH", _TABLE, "bigquery.tables.patch", self._patch_table),
            ("DELETE", _TABLE, "bigquery.tables.delete", self._delete_table),
            ("GET", _TABLE + "/data", "bigquery.tabledata.list", self._list_rows),
            ("POST", _TABLE + "/insertAll", "bigquery.tabledata.insertAll", self._insert_all),
            ("POST", _JOBS, _INSERT, self._desk.insert),
            ("PUT", _UPLOAD, _INSERT, self._desk.put_piece),
            ("GET", _JOBS, "bigquery.jobs.list", self._desk.list_jobs),
            ("GET", _JOBS + "/{job}", "bigquery.jobs.get", self._desk.get_job),
            ("POST", _JOBS + "/{job}/cancel", "bigquery.jobs.cancel", self._desk.cancel_job),
            ("POST", _QUERIES, "bigquery.jobs.query", self._desk.query),
            ("GET", _QUERIES + "/{job}", "bigquery.jobs.getQueryResults", self._desk.query_results),
        ]
        routes = [web.route(verb, path, self._bound(name, run)) for verb, path, name, run in named]
        return [*routes, web.post(_UPLOAD, self._upload())]

    def _upload(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler of a new upload: a whole one is a job, a resumable one only begins."""
        begin = self._bound("bigquery.uploads.begin", self._desk.begin_upload)
        whole = self._bound(_INSERT, self._desk.upload)

        async def either(request: web.Request) -> web.StreamResponse:
            resumable = request.query.get("uploadType") == "resumable"
            return await (begin if resumable else whole)(request)

        return either

    def _bound(self, method: str, run: _Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def checked(request: web.Request, fault: Fault | None) -> web.StreamResponse:
            try:
                self._check_token(request)
                return await run(request, fault)
            except ApiError as error:
                return failure(error)

        return with_faults(checked, method=method, faults=self._faults, refusal=refusal)

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if self._required_token and given != f"Bearer {self._required_token}":
            raise Refused("Invalid Credentials", status=401, code="authError")

    async def _do(self, work: Callable[[Catalog], T]) -> T:
        return await self._warehouse.run(lambda database: work(Catalog(database)))

    # datasets and tables

    async def _insert_dataset(self, request: web.Request, _: Fault | None) -> web.Response:
        said = read_resource(await request.read())
        id_ = check_id(str(inner(said, "datasetReference").get("datasetId") or ""), "dataset")
        name = DatasetName(project=request.match_info["project"], dataset=id_)
        made = await self._do(lambda catalog: catalog.create_dataset(name, said, origin_of(request)))
        return answer(made, request)

    async def _list_datasets(self, request: web.Request, _: Fault | None) -> web.Response:
        found = await self._do(lambda catalog: catalog.datasets(request.match_info["project"]))
        kept = ("kind", "id", "datasetReference", "labels", "friendlyName", "location")
        items = [{name: each[name] for name in kept if name in each} for each in found]
        return answer(listing("bigquery#datasetList", "datasets", items, request) | {"etag": '"0"'}, request)

    async def _get_dataset(self, request: web.Request, _: Fault | None) -> web.Response:
        return answer(await self._do(lambda catalog: catalog.dataset(_dataset(request))), request)

    async def _delete_dataset(self, request: web.Request, _: Fault | None) -> web.Response:
        whole = request.query.get("deleteContents", "").lower() == "true"
        await self._do(lambda catalog: catalog.drop_dataset(_dataset(request), with_tables=whole))
        return web.Response(status=204)

    async def _insert_table(self, request: web.Request, _: Fault | None) -> web.Response:
        said = read_resource(await request.read())
        home = _dataset(request)
        given = {**inner(said, "tableReference"), "datasetId": home.dataset, "projectId": home.project}
        name = table_from(given, project=home.project)

        def create(catalog: Catalog) -> Json:
            if view := inner(said, "view"):
                return catalog.create_view(name, said, view_sql(catalog, view, name)).resource(origin)
            return catalog.create(name, said).resource(origin)

        origin = origin_of(request)
        return answer(await self._do(create), request)

    async def _list_tables(self, request: web.Request, _: Fault | None) -> web.Response:
        found = await self._do(lambda catalog: catalog.tables(_dataset(request)))
        kept = ("id", "tableReference", "type", "creationTime", "timePartitioning", "clustering", "labels")
        resources = [each.resource(origin_of(request)) for each in found]
        items: list[dict[str, object]] = [
            {"kind": "bigquery#table"} | {name: each[name] for name in kept if name in each}
            for each in resources
        ]
        page = listing("bigquery#tableList", "tables", items, request)
        return answer(page | {"etag": '"0"', "totalItems": len(items)}, request)

    async def _get_table(self, request: web.Request, _: Fault | None) -> web.Response:
        found = await self._do(lambda catalog: catalog.table(_table(request)))
        return answer(found.resource(origin_of(request)), request)

    async def _patch_table(self, request: web.Request, _: Fault | None) -> web.Response:
        said = read_resource(await request.read())

        def patch(catalog: Catalog) -> Json:
            table = catalog.table(_table(request))
            table.check_etag(request.headers.get("If-Match", ""))
            return catalog.patch(table, said).resource(origin_of(request))

        return answer(await self._do(patch), request)

    async def _delete_table(self, request: web.Request, _: Fault | None) -> web.Response:
        await self._do(lambda catalog: catalog.drop(catalog.table(_table(request))))
        return web.Response(status=204)

    # rows

    async def _list_rows(self, request: web.Request, _: Fault | None) -> web.Response:
        wanted = wanted_from(request.query)

        def rows(catalog: Catalog) -> dict[str, object]:
            table = catalog.table(_table(request))
            if table.view:
                raise invalid(f"Cannot list a table of type VIEW: {table.name}")
            found, token = rows_page(catalog.database, table.name.sql, table.fields, wanted, total=table.rows)
            said: dict[str, object] = {
                "kind": "bigquery#tableDataList",
                "etag": table.etag,
                "totalRows": str(table.rows),
            }
            return said | ({"rows": found} if found else {}) | ({"pageToken": token} if token else {})

        return answer(await self._do(rows), request)

    async def _insert_all(self, request: web.Request, _: Fault | None) -> web.Response:
        body = read_resource(await request.read())
        said = await self._do(lambda catalog: insert_all(catalog, _table(request), body, self._ids))
        return answer(said, request)


def _dataset(request: web.Request) -> DatasetName:
    return DatasetName(project=request.match_info["project"], dataset=request.match_info["dataset"])


def _table(request: web.Request) -> TableName:
    home = _dataset(request)
    return TableName(project=home.project, dataset=home.dataset, table=request.match_info["table"])
