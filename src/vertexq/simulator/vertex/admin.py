"""The simulator's own routes about jobs: how they behave, which creates were accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import msgspec
import orjson
from aiohttp import web

from vertexq.errors import BadInput, NotFound
from vertexq.simulator.behaviour import Behaviours, behaviour_from_json
from vertexq.simulator.creates import AcceptedCreate
from vertexq.simulator.vertex.models import Models
from vertexq.simulator.vertex.predict import OnlineCall
from vertexq.simulator.vertex.turns import Overlap


def vertex_admin_routes(
    behaviours: Behaviours,
    models: Models,
    accepted: Callable[[], Sequence[AcceptedCreate]],
    again: Callable[[str], str],
) -> Iterable[web.RouteDef]:
    """Return the routes: behaviour (GET, POST, DELETE), models (POST, DELETE) and creates (GET, POST)."""
    yield from _behaviour_routes(behaviours)
    yield from _model_routes(models)
    yield from _create_routes(accepted, again)


def _behaviour_routes(behaviours: Behaviours) -> Iterable[web.RouteDef]:
    async def told(_: web.Request) -> web.Response:
        return web.json_response(behaviours.to_json())

    async def tell(request: web.Request) -> web.Response:
        try:
            _tell(behaviours, _given(await request.read()))
        except BadInput as error:
            return _bad(error)
        return await told(request)

    async def forget(request: web.Request) -> web.Response:
        behaviours.clear()
        return await told(request)

    path = "/_simulator/behaviour"
    return [web.get(path, told), web.post(path, tell), web.delete(path, forget)]


def _model_routes(models: Models) -> Iterable[web.RouteDef]:
    async def change(request: web.Request) -> web.Response:
        try:
            _change(models, _given(await request.read()))
        except BadInput as error:
            return _bad(error)
        return web.json_response({})

    async def know_all(_: web.Request) -> web.Response:
        models.clear()
        return web.json_response({})

    return [web.post("/_simulator/models", change), web.delete("/_simulator/models", know_all)]


def _change(models: Models, given: dict[str, object]) -> None:
    """Retire ``{"model": name}``; with ``locations`` take jobs for it there only, with ``kind`` add it."""
    name, places = str(given.get("model", "")), given.get("locations")
    if "kind" in given:
        told = {field: str(given[field]) for field in ("display_name", "location") if field in given}
        models.add(name, kind=str(given["kind"]), **told)
    elif isinstance(places, list):
        models.only_in(name, *map(str, cast("list[object]", places)))
    else:
        models.retire(name)


def _create_routes(
    accepted: Callable[[], Sequence[AcceptedCreate]], again: Callable[[str], str]
) -> Iterable[web.RouteDef]:
    async def creates(_: web.Request) -> web.Response:
        body = orjson.dumps([msgspec.to_builtins(create) for create in accepted()])
        return web.Response(body=body, content_type="application/json")

    async def create_again(request: web.Request) -> web.Response:
        """Accept ``{"display_name": …}`` a second time: the duplicate that nobody asked for."""
        try:
            name = again(str(_given(await request.read()).get("display_name", "")))
        except (BadInput, NotFound) as error:
            return _bad(error)
        return web.json_response({"name": name})

    return [web.get("/_simulator/creates", creates), web.post("/_simulator/creates", create_again)]


def online_route(calls: Callable[[], Sequence[OnlineCall]]) -> web.RouteDef:
    """Return the route that tells every online call that was answered, oldest first."""

    async def told(_: web.Request) -> web.Response:
        body = orjson.dumps([msgspec.to_builtins(call) for call in calls()])
        return web.Response(body=body, content_type="application/json")

    return web.get("/_simulator/online", told)


def overlaps_route(overlaps: Callable[[], Sequence[Overlap]]) -> web.RouteDef:
    """Return the route that tells every job that was to run while too many others of its kind ran."""

    async def told(_: web.Request) -> web.Response:
        body = orjson.dumps([msgspec.to_builtins(one) for one in overlaps()])
        return web.Response(body=body, content_type="application/json")

    return web.get("/_simulator/overlaps", told)


def _bad(error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)


def _given(body: bytes) -> dict[str, object]:
    """Return the JSON object of a body; raise ``BadInput`` for anything else."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f"the body is a JSON object, not {type(value).__name__}")
    return cast("dict[str, object]", value)


def _tell(behaviours: Behaviours, given: dict[str, object]) -> None:
    """Set a behaviour from ``{"match": "…", "quota_rows": 0.1, …}``; without ``match`` it is for all jobs."""
    match = given.pop("match", "")
    if not isinstance(match, str):
        raise BadInput("match: a text that the display names (or key=value labels) of the jobs hold")
    behaviours.set(behaviour_from_json(given), match=match)
