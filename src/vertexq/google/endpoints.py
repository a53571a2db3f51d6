"""Vertex AI's endpoints over REST: create, list, get, deploy, undeploy, delete, and their operations.

No call here that changes something is repeated: whoever makes it looks at the endpoint before it makes it
again. Calls that only read are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

from vertexq.endpoints import Endpoint, EndpointOrder, LongOperation, endpoint_place
from vertexq.errors import Ambiguous, ApiError, BadInput, Refused, Throttled, Unavailable, Unreachable
from vertexq.google.endpoint_messages import (
    ENDPOINT_FIELDS,
    deploy_body,
    endpoint_body,
    endpoint_from,
    operation_from,
    undeploy_body,
)
from vertexq.google.hosts import base_url
from vertexq.google.messages import Unreadable, items, mapping, parent, text
from vertexq.google.rest import Answer, Transport
from vertexq.google.vertex import NOT_SENT

T = TypeVar("T")

_DEFINITE = frozenset({400, 401, 403, 404, 409})
_PAGE = 100


class Endpoints:
    """The endpoints of every project and location. ``endpoint`` is a base URL for all (an emulator).

    A call that changes something raises ``Refused`` when nothing happened (400, 401, 403, 404, 409) and
    ``Ambiguous`` when it may have happened; with the ``code`` ``NOT_SENT`` not a byte of it was sent.
    """

    def __init__(self, transport: Transport, *, endpoint: str = "", deadline_s: float = 60.0) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._deadline_s = deadline_s
        if endpoint:
            transport.trust(base_url("global", endpoint))

    async def create(self, order: EndpointOrder) -> LongOperation:
        """Begin to create the endpoint of an order; its id is the order's, so that a second try is a 409."""
        url = f"{self._base(order.location)}/{parent(order.project, order.location)}/endpoints"
        return await self._change(
            "POST", url, params={"endpointId": order.endpoint}, json=endpoint_body(order)
        )

    async def deploy(self, name: str, order: EndpointOrder, traffic: Mapping[str, int]) -> LongOperation:
        """Begin to deploy the model of an order; an empty ``traffic`` leaves the split as it is."""
        return await self._change("POST", f"{self._url(name)}:deployModel", json=deploy_body(order, traffic))

    async def undeploy(self, name: str, deployed_model_id: str, traffic: Mapping[str, int]) -> LongOperation:
        """Begin to take a model off the endpoint."""
        body = undeploy_body(deployed_model_id, traffic)
        return await self._change("POST", f"{self._url(name)}:undeployModel", json=body)

    async def delete(self, name: str) -> LongOperation:
        """Begin to delete an endpoint, on which nothing may be deployed any more."""
        return await self._change("DELETE", self._url(name))

    async def get(self, name: str) -> Endpoint:
        """Return the endpoint of this full name; raise ``NotFound``."""
        answer = await self._transport.call(
            "GET", self._url(name), params={"fields": ENDPOINT_FIELDS}, retry=True
        )
        return _read(answer, endpoint_from)

    async def list(
        self,
        project: str,
        location: str,
        *,
        filter: str = "",  # noqa: A002  (Google's name for it)
    ) -> AsyncGenerator[Endpoint]:
        """Yield the endpoints that match Google's ``filter`` (``display_name="x"``), page by page."""
        url = f"{self._base(location)}/{parent(project, location)}/endpoints"
        asked = {"filter": filter} if filter else {}
        pages = self._pages(url, {"fields": f"nextPageToken,endpoints({ENDPOINT_FIELDS})", **asked})
        async with aclosing(pages):
            async for answer in pages:
                for one in items(mapping(answer.json()).get("endpoints")):
                    yield _read_part(answer, one, endpoint_from)

    async def operation(self, name: str) -> LongOperation:
        """Return an operation by Google's full name of it; raise ``NotFound``."""
        location = name.rsplit("/locations/", maxsplit=1)[-1].partition("/")[0]
        answer = await self._transport.call("GET", f"{self._base(location)}/{name}", retry=True)
        return _read(answer, operation_from)

    async def operations(self, name: str) -> AsyncGenerator[LongOperation]:
        """Yield the operations on the endpoint of this full name that Google still knows."""
        pages = self._pages(f"{self._url(name)}/operations", {})
        async with aclosing(pages):
            async for answer in pages:
                for one in items(mapping(answer.json()).get("operations")):
                    yield _read_part(answer, one, operation_from)

    async def _pages(self, url: str, params: Mapping[str, str]) -> AsyncGenerator[Answer]:
        asked = {"pageSize": str(_PAGE), **params}
        while True:
            answer = await self._transport.call("GET", url, params=asked, retry=True)
            yield answer
            if not (token := text(mapping(answer.json()), "nextPageToken")):
                return
            asked = {**asked, "pageToken": token}

    async def _change(
        self, verb: str, url: str, *, params: Mapping[str, str] | None = None, json: object = None
    ) -> LongOperation:
        try:
            answer = await self._transport.call(
                verb,
                url,
                params=params,
                json=json,
                deadline_s=self._deadline_s,
                retry=False,
                fresh_connection=True,
            )
            return _read(answer, operation_from)
        except (Refused, Throttled, Unavailable) as error:
            if error.status in _DEFINITE or isinstance(error, Throttled):
                raise
            raise _ambiguous(error) from error
        except Unreachable as error:
            raise Ambiguous(f"{error}; nothing was sent", code=NOT_SENT) from error

    def _base(self, location: str) -> str:
        return f"{base_url(location, self._endpoint)}/v1"

    def _url(self, name: str) -> str:
        _, location, _ = endpoint_place(name)
        if not location:
            raise BadInput(f"{name!r} is not of the form projects/P/locations/L/endpoints/ID")
        return f"{self._base(location)}/{name}"


def named(display_name: str) -> str:
    """Return the filter for endpoints of exactly this display name."""
    escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
    return f'display_name="{escaped}"'


def _read(answer: Answer, read: Callable[[object], T]) -> T:
    return _read_part(answer, answer.json(), read)


def _read_part(answer: Answer, value: object, read: Callable[[object], T]) -> T:
    try:
        return read(value)
    except Unreadable as error:
        raise answer.unreadable(str(error)) from error


def _ambiguous(error: ApiError) -> Ambiguous:
    return Ambiguous(
        f"{error}; it may have been accepted: look at the endpoint before it is asked for again",
        status=error.status,
        code=error.code,
        retry_after_s=error.retry_after_s,
    )
