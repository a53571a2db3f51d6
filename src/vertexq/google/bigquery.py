"""BigQuery over its REST API: tables, load jobs under ids of ours, and queries page by page.

An id is taken once for each project and location: a second insert is answered with 409, so that a job under
an id of ours runs at most once however often it is asked for.
https://docs.cloud.google.com/bigquery/docs/running-jobs#generate-jobid
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import quote

import orjson

from vertexq.errors import NotFound, Unavailable, Unreachable
from vertexq.google.bigquery_messages import (
    JobInfo,
    Page,
    TableInfo,
    TablePage,
    TableRef,
    job_from,
    page_from,
    table_from,
    table_page_from,
)
from vertexq.google.hosts import bigquery_url
from vertexq.google.messages import Unreadable, mapping, text
from vertexq.google.rest import Answer, Transport

UPLOAD_S = 300.0
"""How long an upload may take, all tries together."""

_PAGE_ROWS = 2_000
_LONG_POLL_MS = 10_000
_FIRST_LOOK_S = 0.05
_LAST_LOOK_S = 5.0
_CONFLICT = 409
_JOB_FIELDS = "jobReference,status,configuration(labels)"


class BigQuery:
    """The tables and jobs of every project. ``endpoint`` is the base URL of an emulator or a private one."""

    def __init__(self, transport: Transport, *, endpoint: str = "") -> None:
        self._transport = transport
        self._base = bigquery_url(endpoint)
        if endpoint:
            transport.trust(self._base)

    async def location(self, ref: TableRef) -> str:
        """Return where the dataset of ``ref`` is (``US``, ``us-central1``); raise ``NotFound``."""
        answer = await self._transport.call("GET", self._dataset(ref), retry=True)
        return text(mapping(answer.json()), "location")

    async def table(self, ref: TableRef) -> TableInfo | None:
        """Return a table, or None when it is not there."""
        try:
            answer = await self._transport.call("GET", self._table(ref), retry=True)
        except NotFound:
            return None
        return table_from(answer.json())

    async def rows(self, ref: TableRef, *, start: int, most: int) -> TablePage:
        """Return rows of a table from number ``start`` on: ``most`` of them, or fewer (10 MB are a page).

        Instants are whole microseconds. No page token is used, so that none expires. Raise ``NotFound``.
        """
        params = {"startIndex": str(start), "maxResults": str(most)}
        params |= {"formatOptions.useInt64Timestamp": "true"}
        answer = await self._transport.call("GET", f"{self._table(ref)}/data", params=params, retry=True)
        try:
            return table_page_from(answer.json())
        except Unreadable as error:
            raise answer.unreadable(str(error)) from error

    async def delete_table(self, ref: TableRef) -> None:
        """Delete a table; one that is not there is no error."""
        with suppress(NotFound):
            await self._transport.call("DELETE", self._table(ref), expect=(200, 204), retry=True)

    async def create_table(self, ref: TableRef, about: Mapping[str, object]) -> None:
        """Make a table; one that is there already is left as it is."""
        body = {"tableReference": ref.resource(), **about}
        url = f"{self._dataset(ref)}/tables"
        await self._transport.call("POST", url, json=body, expect=(200, _CONFLICT), retry=True)

    async def add_columns(
        self, ref: TableRef, known: TableInfo, added: Iterable[Mapping[str, object]]
    ) -> None:
        """Add columns; raise ``PreconditionFailed`` when somebody changed the table in the meantime."""
        fields = [*(each.resource for each in known.columns), *added]
        headers = {"If-Match": known.etag} if known.etag else {}
        body = {"schema": {"fields": fields}}
        await self._transport.call("PATCH", self._table(ref), json=body, headers=headers, retry=True)

    async def job(self, project: str, location: str, job_id: str) -> JobInfo | None:
        """Return a job, or None when there is none of this id in this location."""
        url, params = f"{self._jobs(project)}/{quote(job_id)}", {"location": location, "fields": _JOB_FIELDS}
        try:
            return _job(await self._transport.call("GET", url, params=params, retry=True))
        except NotFound:
            return None

    async def load(
        self, project: str, location: str, job_id: str, configuration: Mapping[str, object], data: bytes
    ) -> JobInfo:
        """Begin a load of ``data`` under ``job_id``, or return the job that has this id already."""
        boundary = secrets.token_hex(16)
        resource = _resource(project, location, job_id, configuration)
        head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
        middle = f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        answer = await self._transport.call(
            "POST",
            f"{self._base}/upload/bigquery/v2/projects/{quote(project)}/jobs",
            params={"uploadType": "multipart"},
            data=b"".join((head, orjson.dumps(resource), middle, data, f"\r\n--{boundary}--\r\n".encode())),
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            deadline_s=UPLOAD_S,
            expect=(200, _CONFLICT),
            retry=True,
        )
        return await self._begun(answer, project, location, job_id)

    async def begin(
        self, project: str, location: str, job_id: str, configuration: Mapping[str, object]
    ) -> JobInfo:
        """Begin a job without data under ``job_id``, or return the one that has this id already."""
        body = _resource(project, location, job_id, configuration)
        answer = await self._transport.call(
            "POST", self._jobs(project), json=body, expect=(200, _CONFLICT), retry=True
        )
        return await self._begun(answer, project, location, job_id)

    async def ended(self, project: str, location: str, job: JobInfo, *, within_s: float) -> JobInfo:
        """Wait until a job has ended and return it; raise ``Unreachable`` when it has not in time."""
        loop = asyncio.get_running_loop()
        until_s, wait_s = loop.time() + within_s, _FIRST_LOOK_S
        while not job.done:
            if loop.time() + wait_s > until_s:
                raise Unreachable(
                    f"the BigQuery job {job.id} was still running after {within_s:.0f} s; it goes on there, "
                    "and is looked at again later"
                )
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _LAST_LOOK_S)
            job = await self.job(project, location, job.id) or job
        return job

    async def query(
        self,
        project: str,
        location: str,
        sql: str,
        parameters: Sequence[Mapping[str, object]],
        *,
        page_rows: int = _PAGE_ROWS,
    ) -> AsyncGenerator[Page]:
        """Run a query that only reads and yield what it finds, page by page, as one snapshot.

        Raise ``Refused`` for a query that BigQuery does not take.
        """
        body = {
            "query": sql,
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": list(parameters),
            "location": location,
            "maxResults": page_rows,
            "timeoutMs": _LONG_POLL_MS,
            "formatOptions": {"useInt64Timestamp": True},
            "requestId": str(uuid.uuid4()),  # a repeated call is the same query
        }
        url = f"{self._base}/bigquery/v2/projects/{quote(project)}/queries"
        page = _page(await self._transport.call("POST", url, json=body, retry=True))
        while True:
            if page.done:
                yield page
                if not page.token:
                    return
            params = {"location": location, "maxResults": str(page_rows), "timeoutMs": str(_LONG_POLL_MS)}
            params |= {"formatOptions.useInt64Timestamp": "true"}
            params |= {"pageToken": page.token} if page.token else {}
            answer = await self._transport.call("GET", f"{url}/{page.job_id}", params=params, retry=True)
            page = _page(answer)

    async def _begun(self, answer: Answer, project: str, location: str, job_id: str) -> JobInfo:
        """Return the job that an insert was answered with, or which has its id already."""
        if answer.status != _CONFLICT:
            with suppress(Unavailable):  # of an answer that cannot be read: the id says what became of it
                return _job(answer)
        found = await self.job(project, location, job_id)
        if found is None:
            raise answer.unreadable(f"there is no job {job_id}")
        return found

    def _dataset(self, ref: TableRef) -> str:
        return f"{self._base}/bigquery/v2/projects/{quote(ref.project)}/datasets/{quote(ref.dataset)}"

    def _table(self, ref: TableRef) -> str:
        return f"{self._dataset(ref)}/tables/{quote(ref.table)}"

    def _jobs(self, project: str) -> str:
        return f"{self._base}/bigquery/v2/projects/{quote(project)}/jobs"


def _resource(
    project: str, location: str, job_id: str, configuration: Mapping[str, object]
) -> dict[str, object]:
    reference = {"projectId": project, "jobId": job_id, "location": location}
    return {"jobReference": reference, "configuration": configuration}


def _job(answer: Answer) -> JobInfo:
    try:
        return job_from(answer.json())
    except Unreadable as error:
        raise answer.unreadable(str(error)) from error


def _page(answer: Answer) -> Page:
    try:
        return page_from(answer.json())
    except (Unreadable, ValueError) as error:
        raise answer.unreadable(str(error)) from error
