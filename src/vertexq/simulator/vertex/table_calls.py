"""The simulated Vertex AI's own calls to BigQuery: plain HTTP, as Google's service would make them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import IO, cast
from urllib.parse import quote

import aiohttp
import orjson

from vertexq.simulator.bigquery.fields import Field, fields_from, schema_resource
from vertexq.simulator.bigquery.names import DatasetName, Json, TableName, inner, listed
from vertexq.simulator.vertex.inner_calls import InnerCalls

_PAGE_ROWS = 1_000
_LOOK_S = 0.02
_OK, _NOT_FOUND = 200, 404
_ADDRESS = re.compile(r"bq://([a-z][a-z0-9:-]*)(?:\.(\w+))?(?:\.([\w-]+))?")


def table_of(address: str) -> tuple[str, str, str]:
    """Return project, dataset and table of ``bq://project.dataset.table``; what is left out is empty."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"{address!r} is not of the form bq://project.dataset.table")
    return found[1], found[2] or "", found[3] or ""


class TableCalls(InnerCalls):
    """Calls to the BigQuery at ``url``."""

    def __init__(self, url: str, *, token: str = "") -> None:
        super().__init__(token=token)
        self._base = f"{url.rstrip('/')}/bigquery/v2/projects"
        self._upload = f"{url.rstrip('/')}/upload/bigquery/v2/projects"

    async def location(self, name: DatasetName) -> str:
        """Return where a dataset is; empty when it is not there."""
        return str((await self._get(self._dataset(name))).get("location") or "")

    async def create_dataset(self, name: DatasetName, location: str) -> None:
        """Make a dataset, unless it is there."""
        body = {"datasetReference": name.reference(), "location": location}
        async with self._http.post(f"{self._base}/{quote(name.project)}/datasets", json=body) as answer:
            if answer.status != 409:  # noqa: PLR2004
                answer.raise_for_status()

    async def fields(self, name: TableName) -> tuple[Field, ...] | None:
        """Return the columns of a table; None when it is not there."""
        said = await self._get(self._table(name))
        return fields_from(said.get("schema")) if said else None

    async def rows(self, name: TableName) -> AsyncGenerator[list[object]]:
        """Yield the values of each row, as ``tabledata.list`` writes them."""
        params = {"maxResults": str(_PAGE_ROWS), "formatOptions.useInt64Timestamp": "true"}
        while True:
            async with self._http.get(f"{self._table(name)}/data", params=params) as answer:
                answer.raise_for_status()
                page = cast("Json", orjson.loads(await answer.read()))
            for row in listed(page.get("rows")):
                yield [cast("Json", cell).get("v") for cell in listed(cast("Json", row).get("f"))]
            if not page.get("pageToken"):
                return
            params["pageToken"] = str(page["pageToken"])

    async def load(
        self, name: TableName, fields: Sequence[Field], lines: IO[bytes], *, location: str, replace: bool
    ) -> str:
        """Load lines of JSON into a table; return why that failed, or nothing."""
        said = {
            "destinationTable": name.reference(),
            "schema": schema_resource(fields),
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "writeDisposition": "WRITE_APPEND" if replace else "WRITE_EMPTY",
        }
        url = f"{self._upload}/{quote(name.project)}/jobs"
        body = {"jobReference": {"location": location}, "configuration": {"load": said}}
        async with self._http.post(url, params={"uploadType": "resumable"}, json=body) as answer:
            answer.raise_for_status()
            session = answer.headers["Location"]
        async with self._http.put(session, data=lines) as answer:
            job = await _said(answer)
        return await self._outcome(name.project, location, job)

    async def _outcome(self, project: str, location: str, job: Json) -> str:
        id_ = str(inner(job, "jobReference").get("jobId"))
        while inner(job, "status").get("state") != "DONE":
            await asyncio.sleep(_LOOK_S)
            job = await self._get(f"{self._base}/{quote(project)}/jobs/{id_}?location={location}")
        return str(inner(job, "status", "errorResult").get("message") or "")

    async def _get(self, url: str) -> Json:
        async with self._http.get(url) as answer:
            return {} if answer.status == _NOT_FOUND else await _said(answer)

    def _dataset(self, name: DatasetName) -> str:
        return f"{self._base}/{quote(name.project)}/datasets/{quote(name.dataset)}"

    def _table(self, name: TableName) -> str:
        return f"{self._dataset(name.home)}/tables/{quote(name.table)}"


async def _said(answer: aiohttp.ClientResponse) -> Json:
    answer.raise_for_status()
    return cast("Json", orjson.loads(await answer.read()))
