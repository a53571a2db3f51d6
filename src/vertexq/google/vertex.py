"""Vertex AI's batch prediction jobs over REST: create (the paid call), get, list, cancel, delete."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from vertexq.errors import Ambiguous, ApiError, NotFound, Refused, Throttled, Unavailable, Unreachable
from vertexq.google.hosts import base_url
from vertexq.google.messages import (
    JOB_FIELDS,
    POLL_FIELDS,
    Unreadable,
    items,
    job_from,
    location_of,
    lookup_names,
    mapping,
    parent,
    text,
)
from vertexq.google.own_models import OwnModel, deployed_models_from, endpoints_from, own_model_from
from vertexq.google.rest import Answer, Transport
from vertexq.model import Job

__all__ = ["NOT_SENT", "Vertex", "base_url"]

_DEFINITE = frozenset({400, 401, 403, 404})

NOT_SENT = "NOT_SENT"
"""The ``code`` of an ``Ambiguous`` error that is none: not a byte of the call left this machine."""


class Vertex:
    """The jobs of every project and location. ``endpoint`` is a base URL for all locations (an emulator)."""

    def __init__(self, transport: Transport, *, endpoint: str = "") -> None:
        self._transport = transport
        self._endpoint = endpoint
        if endpoint:
            transport.trust(base_url("global", endpoint))

    async def create(
        self, project: str, location: str, body: Mapping[str, object], *, deadline_s: float = 60.0
    ) -> Job:
        """Create a job with exactly one POST, on a connection of its own, never repeated at any layer.

        Raise ``Refused`` when nothing was created (400, 401, 403, 404, or credentials that get no token) and
        ``Ambiguous`` for everything else: the job may exist. The ``code`` of an ``Ambiguous`` is ``NOT_SENT``
        when there was no connection or no token now, so that not a byte of the call went out.
        """
        url = self._jobs_url(project, location)
        try:
            answer = await self._transport.call(
                "POST",
                url,
                params={"fields": JOB_FIELDS},
                json=dict(body),
                deadline_s=deadline_s,
                retry=False,
                fresh_connection=True,
            )
            return _job(answer)
        except (Refused, Throttled, Unavailable) as error:
            if error.status in _DEFINITE:
                raise
            raise _ambiguous(error) from error
        except Unreachable as error:
            raise Ambiguous(f"{error}; nothing was sent", code=NOT_SENT) from error

    async def get(self, name: str) -> Job:
        """Return the job of this full name; raise ``NotFound``, ``BadInput`` for another form of name."""
        answer = await self._transport.call(
            "GET", self._job_url(name), params={"fields": JOB_FIELDS}, retry=True
        )
        return _job(answer)

    async def list(
        self,
        project: str,
        location: str,
        *,
        filter: str = "",  # noqa: A002  (Google's name for it)
        page_size: int = 100,
    ) -> AsyncGenerator[Job]:
        """Yield the jobs that match Google's ``filter``, page by page to the end, in Google's order.

        A job that cannot be read is an ``Unavailable``, not a gap: who looks for a job must not miss it.
        """
        pages = self._pages(project, location, filter, page_size=page_size, fields=JOB_FIELDS)
        async with aclosing(pages):
            async for page in pages:
                for job in page:
                    yield job

    def pages(
        self,
        project: str,
        location: str,
        *,
        filter: str,  # noqa: A002
        page_size: int = 100,
    ) -> AsyncGenerator[Sequence[Job]]:
        """Yield pages of the jobs that match, a request each, as ``list`` does; close it to ask for no more.

        Of each job only its name, labels, state, error, counts, output directory and times are asked for.
        """
        return self._pages(project, location, filter, page_size=page_size, fields=POLL_FIELDS)

    async def _pages(
        self, project: str, location: str, query: str, *, page_size: int, fields: str
    ) -> AsyncGenerator[Sequence[Job]]:
        url = self._jobs_url(project, location)
        params = {
            "pageSize": str(page_size),
            "readMask": fields,
            "fields": f"nextPageToken,batchPredictionJobs({fields})",
        }
        if query:
            params["filter"] = query
        while True:
            answer = await self._transport.call("GET", url, params=params, retry=True)
            page = mapping(answer.json())
            yield [_job_in(answer, value) for value in items(page.get("batchPredictionJobs"))]
            if not text(page, "nextPageToken"):
                return
            params = {**params, "pageToken": text(page, "nextPageToken")}

    async def cancel(self, name: str) -> None:
        """Ask Google to stop the job; it may still end in success. A finished job is ``Refused`` (400)."""
        await self._transport.call("POST", f"{self._job_url(name)}:cancel", json={}, retry=True)

    async def delete(self, name: str) -> str:
        """Delete a finished job; return the operation's name. Raise ``NotFound`` when it is gone."""
        answer = await self._transport.call("DELETE", self._job_url(name), retry=True)
        return text(mapping(answer.json()), "name")

    async def model(self, location: str, model: str) -> str:
        """Return the full name of a model, if this location knows it; raise ``NotFound``, ``Refused``.

        ``model`` is written as in a job. A publisher's model is asked for at ``publishers/P/models/M``, where
        the discovery document (aiplatform v1, revision 20261106) has it without a project; since it does not
        say that versions are known there, a name that ends in one is also asked for without it.
        """
        names = lookup_names(model)
        for name in names:
            try:
                return await self._known_model(location, name)
            except NotFound as error:
                if name == names[-1]:
                    raise NotFound(
                        f"Vertex AI knows no model {names[0]} in {location}: it was never there, or is "
                        "retired; take another model, or another location",
                        status=error.status,
                        code=error.code,
                    ) from error
        raise AssertionError("a model has at least one name")

    async def own_model(self, location: str, name: str) -> OwnModel:
        """Return a project's own model, ``projects/P/locations/L/models/ID[@v]``; raise ``NotFound``."""
        return own_model_from(await self._resource(location, name))

    async def deployed_models(self, location: str, endpoint: str) -> tuple[str, ...]:
        """Return which models are deployed to ``projects/P/locations/L/endpoints/ID``; raise ``NotFound``."""
        return deployed_models_from(await self._resource(location, endpoint))

    async def endpoints_of(self, location: str, model: str) -> tuple[str, ...]:
        """Return the endpoints that a project's own model is deployed to; raise ``NotFound``."""
        return endpoints_from(await self._resource(location, model))

    async def _resource(self, location: str, name: str) -> object:
        url = f"{base_url(location, self._endpoint)}/v1/{name}"
        return (await self._transport.call("GET", url, retry=True)).json()

    async def _known_model(self, location: str, name: str) -> str:
        params = {"view": "PUBLISHER_MODEL_VIEW_BASIC"} if name.startswith("publishers/") else {}
        answer = await self._transport.call(
            "GET", f"{base_url(location, self._endpoint)}/v1/{name}", params=params, retry=True
        )
        return text(mapping(answer.json()), "name") or name

    def _jobs_url(self, project: str, location: str) -> str:
        base = base_url(location, self._endpoint)
        return f"{base}/v1/{parent(project, location)}/batchPredictionJobs"

    def _job_url(self, name: str) -> str:
        return f"{base_url(location_of(name), self._endpoint)}/v1/{name}"


def _job(answer: Answer) -> Job:
    return _job_in(answer, answer.json())


def _job_in(answer: Answer, value: object) -> Job:
    try:
        return job_from(value)
    except Unreadable as error:
        raise answer.unreadable(str(error)) from error


def _ambiguous(error: ApiError) -> Ambiguous:
    return Ambiguous(
        f"{error}; the job may have been created: look for it before creating it again",
        status=error.status,
        code=error.code,
        retry_after_s=error.retry_after_s,
    )
