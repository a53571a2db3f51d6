"""The simulator's own routes below ``/_simulator``: is it up, what shall go wrong, who may do what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import cast

import orjson
from aiohttp import web

from vertexq.errors import BadInput
from vertexq.simulator.access import Access
from vertexq.simulator.faults import Faults, fault_from_json, fault_to_json


def admin_routes(faults: Faults, access: Access) -> Iterable[web.RouteDef]:
    """Return the routes: health, faults and access (GET, POST, DELETE), and the log of requests."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def log(request: web.Request) -> web.Response:
        entries = faults.log(request.query.get("method", "*"))
        return web.json_response([asdict(entry) for entry in entries])

    yield web.get("/_simulator/health", health)
    yield web.get("/_simulator/log", log)
    yield from _told(
        "/_simulator/faults", lambda: [*map(fault_to_json, faults.armed())], faults.clear, _arm(faults)
    )
    yield from _told("/_simulator/access", access.to_json, access.clear, access.tell)


def _arm(faults: Faults) -> Callable[[object], None]:
    def arm(value: object) -> None:
        wanted = cast("list[object]", value) if isinstance(value, list) else [value]
        faults.add(*[fault_from_json(each) for each in wanted])

    return arm


def _told(
    path: str, state: Callable[[], object], clear: Callable[[], None], tell: Callable[[object], None]
) -> Iterable[web.RouteDef]:
    """Return what is told with POST, forgotten with DELETE and asked with GET."""

    async def get(_: web.Request) -> web.Response:
        return web.json_response(state())

    async def post(request: web.Request) -> web.Response:
        try:
            tell(orjson.loads(await request.read()))
        except (BadInput, orjson.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await get(request)

    async def delete(request: web.Request) -> web.Response:
        clear()
        return await get(request)

    return [web.get(path, get), web.post(path, post), web.delete(path, delete)]
