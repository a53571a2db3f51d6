"""The simulator's own routes below ``/_simulator``: is it up, what shall go wrong, what happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import cast

import orjson
from aiohttp import web

from vertexq.errors import BadInput
from vertexq.simulator.faults import Faults, fault_from_json, fault_to_json


def admin_routes(faults: Faults) -> Iterable[web.RouteDef]:
    """Return the routes: health, faults (GET, POST, DELETE) and the log of requests."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def armed(_: web.Request) -> web.Response:
        return web.json_response([fault_to_json(fault) for fault in faults.armed()])

    async def arm(request: web.Request) -> web.Response:
        try:
            value: object = orjson.loads(await request.read())
            wanted = cast("list[object]", value) if isinstance(value, list) else [value]
            faults.add(*[fault_from_json(each) for each in wanted])
        except (BadInput, orjson.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await armed(request)

    async def disarm(request: web.Request) -> web.Response:
        faults.clear()
        return await armed(request)

    async def log(request: web.Request) -> web.Response:
        entries = faults.log(request.query.get("method", "*"))
        return web.json_response([asdict(entry) for entry in entries])

    return [
        web.get("/_simulator/health", health),
        web.get("/_simulator/faults", armed),
        web.post("/_simulator/faults", arm),
        web.delete("/_simulator/faults", disarm),
        web.get("/_simulator/log", log),
    ]
