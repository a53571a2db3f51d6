"""How BigQuery says yes and no.

Errors: https://docs.cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

import orjson
from aiohttp import web

from vertexq.errors import ApiError
from vertexq.simulator._fields import partial
from vertexq.simulator.bigquery.names import Json
from vertexq.simulator.faults import Fault

_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
_REASONS = {
    401: "authError",
    403: "accessDenied",
    429: "rateLimitExceeded",
    500: "internalError",
    501: "notImplemented",
    503: "backendError",
}


def answer(resource: Json, request: web.Request) -> web.Response:
    """Answer with a resource, cut down to what the ``fields`` of the request name."""
    body = orjson.dumps(partial(resource, request.query.get("fields", "")))
    return web.Response(body=body, content_type="application/json", charset="UTF-8")


def listing(kind: str, name: str, items: list[dict[str, object]], request: web.Request) -> dict[str, object]:
    """Return one page of a list; page tokens are offsets."""
    start = int(request.query.get("pageToken") or 0)
    end = start + int(request.query.get("maxResults") or 1_000)
    shown: dict[str, object] = {"kind": kind}
    shown |= {name: items[start:end]} if items[start:end] else {}
    return shown | ({"nextPageToken": str(end)} if end < len(items) else {})


def origin_of(request: web.Request) -> str:
    """Return the simulator's scheme and host, as the caller wrote them."""
    return str(request.url.origin())


def refusal(fault: Fault) -> web.Response:
    """Word what a ``REFUSE`` answers; its ``note`` is the reason, if it has one."""
    reason = fault.note or _REASONS.get(fault.status, "backendError")
    response = _failure(fault.status, reason, f"The simulator was told to answer {fault.status}.")
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = f"{fault.retry_after_s:g}"
    return response


def failure(error: ApiError) -> web.Response:
    """Say no as Google does."""
    status = error.status or 500
    return _failure(status, error.code or _REASONS.get(status, "invalid"), str(error))


def _failure(status: int, reason: str, message: str) -> web.Response:
    detail = {"message": message, "domain": "global", "reason": reason}
    error = {"code": status, "message": message, "errors": [detail], "status": _WORDS.get(status, "UNKNOWN")}
    return web.Response(status=status, body=orjson.dumps({"error": error}), content_type="application/json")
