"""The simulator's own routes about jobs: how they behave, which creates were accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import msgspec
import orjson
from aiohttp import web

from vertexq.errors import BadInput
from vertexq.simulator.behaviour import Behaviours, behaviour_from_json
from vertexq.simulator.creates import AcceptedCreate


def vertex_admin_routes(
    behaviours: Behaviours, accepted: Callable[[], Sequence[AcceptedCreate]]
) -> Iterable[web.RouteDef]:
    """Return the routes: behaviour (GET, POST, DELETE) and creates (GET)."""

    async def told(_: web.Request) -> web.Response:
        return web.json_response(behaviours.to_json())

    async def tell(request: web.Request) -> web.Response:
        try:
            _tell(behaviours, orjson.loads(await request.read()))
        except (BadInput, orjson.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return await told(request)

    async def forget(request: web.Request) -> web.Response:
        behaviours.clear()
        return await told(request)

    async def creates(_: web.Request) -> web.Response:
        body = orjson.dumps([msgspec.to_builtins(create) for create in accepted()])
        return web.Response(body=body, content_type="application/json")

    return [
        web.get("/_simulator/behaviour", told),
        web.post("/_simulator/behaviour", tell),
        web.delete("/_simulator/behaviour", forget),
        web.get("/_simulator/creates", creates),
    ]


def _tell(behaviours: Behaviours, value: object) -> None:
    """Set a behaviour from ``{"match": "…", "quota_rows": 0.1, …}``; without ``match`` it is for all jobs."""
    if not isinstance(value, dict):
        raise BadInput(f"a behaviour is a JSON object, not {type(value).__name__}")
    given = dict(cast("dict[str, object]", value))
    match = given.pop("match", "")
    if not isinstance(match, str):
        raise BadInput("match: a text that the display names (or key=value labels) of the jobs hold")
    behaviours.set(behaviour_from_json(given), match=match)
