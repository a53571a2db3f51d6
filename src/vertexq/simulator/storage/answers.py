"""How Cloud Storage says yes and no: resources in JSON, errors of the old form, plain text for content."""

from __future__ import annotations

import orjson
from aiohttp import web

from vertexq.errors import ApiError
from vertexq.simulator._fields import partial
from vertexq.simulator.faults import Fault
from vertexq.simulator.objects import Json


def answer(resource: Json, request: web.Request) -> web.Response:
    """Answer with a resource, cut down to what the ``fields`` of the request name."""
    body = orjson.dumps(partial(resource, request.query.get("fields", "")))
    return web.Response(body=body, content_type="application/json", charset="UTF-8")


def refusal(fault: Fault) -> web.Response:
    """Word what a ``REFUSE`` answers."""
    reasons = {429: "rateLimitExceeded", 503: "backendError", 401: "authError", 403: "forbidden"}
    message = f"The simulator was told to answer {fault.status}."
    response = _json_failure(fault.status, reasons.get(fault.status, "backendError"), message)
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = f"{fault.retry_after_s:g}"
    return response


def failure(error: ApiError, request: web.Request) -> web.Response:
    """Say no as Google does: plain text for content, JSON of the old form for all else."""
    if error.status == 304:  # noqa: PLR2004
        return web.Response(status=304)
    if request.query.get("alt") == "media" or (
        request.method == "PUT" and request.path.startswith("/upload")
    ):
        return web.Response(status=error.status, text=str(error), content_type="text/html")
    return _json_failure(error.status, error.code, str(error))


def _json_failure(status: int, reason: str, message: str) -> web.Response:
    detail = {"message": message, "domain": "global", "reason": reason}
    body = {"error": {"code": status, "message": message, "errors": [detail]}}
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
