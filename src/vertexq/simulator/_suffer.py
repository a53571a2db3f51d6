"""Carrying out faults around a request, the same way for every surface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from vertexq.simulator.faults import Action, Fault, Faults

_LOOK_S = 0.02  # how often a wait looks whether the caller is still there

INTERNAL = "X-Simulator-Internal"
"""A header of calls between surfaces: no faults for them, and no place in the log."""

Answer = Callable[[web.Request, Fault | None], Awaitable[web.StreamResponse]]
"""A route's handler; it sees the fault so that it can do the ones in the middle of a body."""

Refusal = Callable[[Fault], web.Response]
"""How a surface words the error of a ``REFUSE``."""


def with_faults(
    answer: Answer, *, method: str, faults: Faults, refusal: Refusal
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return ``answer`` as aiohttp wants it: it suffers the faults of ``method`` and is logged."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if INTERNAL in request.headers:
            return await answer(request, None)
        fault = faults.take(method, label_of(request))
        try:
            response = await suffer(request, fault, answer, refusal=refusal)
        except ConnectionError:  # the caller went away in the middle of the answer
            response = hang_up(request)
        status = 0 if hung_up(request) else response.status
        faults.record(method=method, verb=request.method, path=label_of(request), status=status, fault=fault)
        return response

    return handler


async def suffer(
    request: web.Request, fault: Fault | None, answer: Answer, *, refusal: Refusal
) -> web.StreamResponse:
    """Answer ``request``, doing wrong what ``fault`` says."""
    if fault is None:
        return await answer(request, None)
    if fault.action in {Action.REFUSE, Action.DROP, Action.DELAY}:
        await pause(request, fault.delay_s)
    if fault.action is Action.REFUSE:
        return refusal(fault)
    if fault.action is Action.DROP:
        return hang_up(request)
    response = await answer(request, fault)
    return await _spoil(request, fault, response, refusal=refusal)


async def _spoil(
    request: web.Request, fault: Fault, response: web.StreamResponse, *, refusal: Refusal
) -> web.StreamResponse:
    """Keep the answer to a request that took effect from reaching the caller whole."""
    match fault.action:
        case Action.ACCEPT_THEN_REFUSE:
            await pause(request, fault.delay_s)
            return refusal(fault)
        case Action.ACCEPT_THEN_DROP | Action.ACCEPT_THEN_STALL:
            await pause(request, fault.delay_s)
            return hang_up(request)
        case Action.GARBLE:
            return web.Response(text='{"name": "projects/', content_type="application/json")
        case _:
            return response


async def pause(request: web.Request, delay_s: float) -> None:
    """Wait ``delay_s``, or until the caller has gone."""
    over_s = asyncio.get_running_loop().time() + delay_s
    # aiohttp has no event for a caller that goes away
    while not hung_up(request) and (left_s := over_s - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left_s, _LOOK_S))


def hang_up(request: web.Request) -> web.Response:
    """Close the connection; whatever was written arrives, nothing more will."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def hung_up(request: web.Request) -> bool:
    """Say whether the connection is closed, by us or by the caller."""
    return request.transport is None or request.transport.is_closing()


def label_of(request: web.Request) -> str:
    """Return what faults are matched against: the decoded path and the query."""
    return f"{request.path}?{request.query_string}" if request.query_string else request.path
