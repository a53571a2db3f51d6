"""What every call to the simulated Vertex AI passes: credentials, faults, errors, the log of exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from aiohttp import web

from vertexq.errors import ApiError, Refused
from vertexq.google.messages import items, mapping
from vertexq.simulator._suffer import hang_up, hung_up, label_of, suffer
from vertexq.simulator.exchanges import Exchange, Exchanges
from vertexq.simulator.faults import Action, Fault, Faults
from vertexq.simulator.vertex.replies import failure, refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Call = Callable[[web.Request], Awaitable[web.Response]]

_JOBS = "aiplatform.projects.locations.batchPredictionJobs"
CREATE = f"{_JOBS}.create"
_LABEL_BYTES = 64 * 1024  # of a new job's body, which faults are matched against


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Wraps calls. With a ``required_token`` a call without it is refused (401).

    A fault with the action ``other`` takes effect on the answer to an accepted call; its ``note`` says how:
    ``empty-name``, ``html`` (a page with 200), ``truncated`` (half of the JSON); of a list ``empty-list`` (a
    filter that lags behind), ``doubled-list`` and ``halved-list`` (every job twice, every second one).
    """

    faults: Faults
    exchanges: Exchanges
    required_token: str
    late: set[asyncio.Task[None]]

    def through(self, call: Call, *, method: str) -> Handler:
        """Return the route's handler for ``call``, which Google names ``method``."""

        async def answered(request: web.Request, fault: Fault | None) -> web.StreamResponse:
            response = await self._safely(call, request)
            ok = response.status == 200  # noqa: PLR2004
            return _spoiled(response, fault) if fault is not None and ok else response

        async def handler(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            label = label_of(request) + (
                body[:_LABEL_BYTES].decode(errors="replace") if method == CREATE else ""
            )
            fault = self.faults.take(method, label)
            if fault is not None and fault.action is Action.ACCEPT_LATE:
                response: web.StreamResponse = self._later(call, request, fault.delay_s)
            else:
                response = await suffer(request, fault, answered, refusal=refusal)
            self._note(method, request, body, response, fault)
            return response

        return handler

    async def _safely(self, call: Call, request: web.Request) -> web.Response:
        try:
            if (
                self.required_token
                and request.headers.get("Authorization") != f"Bearer {self.required_token}"
            ):
                message = "Request had invalid authentication credentials."
                raise Refused(message, status=401, code="UNAUTHENTICATED")
            return await call(request)
        except ApiError as error:
            return failure(error)

    def _later(self, call: Call, request: web.Request, delay_s: float) -> web.Response:
        """Hang up, and let the call take effect when nobody waits for it any more."""

        async def take_effect() -> None:
            await asyncio.sleep(delay_s)
            await self._safely(call, request)

        task = asyncio.create_task(take_effect())
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        return hang_up(request)

    def _note(
        self,
        method: str,
        request: web.Request,
        body: bytes,
        response: web.StreamResponse,
        fault: Fault | None,
    ) -> None:
        status = 0 if hung_up(request) else response.status
        said = response.body if isinstance(response, web.Response) and status else b""
        self.faults.record(
            method=method, verb=request.method, path=label_of(request), status=status, fault=fault
        )
        self.exchanges.add(
            Exchange(
                method=method,
                verb=request.method,
                path=request.path,
                query=tuple((name, value) for name, value in request.query.items()),
                request=body,
                status=status,
                response=bytes(said) if isinstance(said, bytes | bytearray) else b"",
            )
        )


def _spoiled(response: web.Response, fault: Fault) -> web.Response:
    if fault.action is not Action.OTHER or not isinstance(response.body, bytes):
        return response
    match fault.note:
        case "empty-name":
            return web.Response(body=b'{"name": ""}', content_type="application/json")
        case "html":
            return web.Response(text="<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
        case "truncated":
            half = response.body[: len(response.body) // 2]
            return web.Response(body=half, content_type="application/json")
        case "empty-list" | "doubled-list" | "halved-list" as note:
            page = mapping(orjson.loads(response.body))
            jobs = _wrong(note, items(page.get("batchPredictionJobs")))
            body = orjson.dumps({**page, "batchPredictionJobs": jobs})
            return web.Response(body=body, content_type="application/json")
        case _:
            return response


def _wrong(note: str, jobs: list[object]) -> list[object]:
    """Return a page's jobs as a list that lags, repeats or drops shows them."""
    return {"empty-list": [], "doubled-list": jobs + jobs, "halved-list": jobs[::2]}[note]
