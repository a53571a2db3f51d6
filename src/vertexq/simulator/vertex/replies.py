"""How the simulated Vertex AI says yes and no: jobs, pages, operations and errors as JSON. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson
from aiohttp import web

from vertexq.errors import ApiError
from vertexq.simulator._fields import partial
from vertexq.simulator.faults import Fault
from vertexq.simulator.jobs import SimulatedJob, Tally
from vertexq.simulator.vertex.operations import Operation
from vertexq.simulator.vertex.requests import invalid
from vertexq.states import JobState

Json = Mapping[str, object]

_TYPES = "type.googleapis.com"
_STATE_NUMBERS = {state.value: number for number, state in enumerate(JobState)}
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_HTML = (
    "<!DOCTYPE html><html><title>Error {0} (Server Error)!!1</title><p><b>{0}.</b> That's an error.</html>"
)


def rfc3339(at: datetime) -> str:
    """Return ``at`` (UTC) with microseconds and ``Z``."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def job_json(job: SimulatedJob) -> dict[str, object]:
    """Return the resource."""
    state = job.state_word or job.state.value
    resource: dict[str, object] = {"name": job.name, **job.body, "modelVersionId": "1", "state": state}
    if job.output_directory:
        resource["outputInfo"] = _output_info(job.output_directory)
    if job.error is not None:
        resource["error"] = {"code": job.error.code, "message": job.error.message}
    if job.tally is not None:
        resource["completionStats"] = _stats(job.tally)
    times = {"createTime": job.created, "startTime": job.started}
    times |= {"endTime": job.ended, "updateTime": job.updated}
    return resource | {name: rfc3339(at) for name, at in times.items() if at is not None}


def _output_info(where: str) -> dict[str, str]:
    """Return where a job has written; of a table Google names the two halves apart."""
    if not where.startswith("bq://"):
        return {"gcsOutputDirectory": where}
    dataset, _, table = where.rpartition(".")
    return {"bigqueryOutputDataset": dataset, "bigqueryOutputTable": table}


def _stats(tally: Tally) -> dict[str, str]:
    """Return int64s as texts; Google leaves out what is 0."""
    numbers = {
        "successfulCount": tally.successful,
        "failedCount": tally.failed,
        "incompleteCount": tally.incomplete,
    }
    return {name: str(number) for name, number in numbers.items() if number}


def operation_json(operation: Operation, *, done: bool) -> dict[str, object]:
    """Return the operation of a delete; ``done`` is left out until it is."""
    times = {"createTime": rfc3339(operation.began)}
    times["updateTime"] = rfc3339(operation.done_at if done else operation.began)
    kind = f"{_TYPES}/google.cloud.aiplatform.v1.DeleteOperationMetadata"
    about: dict[str, object] = {"name": operation.name, "metadata": {"@type": kind, "genericMetadata": times}}
    return about | ({"done": True, "response": {"@type": f"{_TYPES}/google.protobuf.Empty"}} if done else {})


def answer(resource: Json, request: web.Request) -> web.Response:
    """Answer with ``resource``, cut down to ``fields``, enums as numbers when the caller wants that."""
    alt = request.query.get("$alt", "")
    said = partial(resource, request.query.get("fields", ""))
    if "enum-encoding=int" in alt:
        said = cast("Json", _numbered(said))
    return web.Response(body=orjson.dumps(said), content_type="application/json", charset="UTF-8")


def _numbered(value: object) -> object:
    if isinstance(value, list):
        return [_numbered(item) for item in cast("list[object]", value)]
    if not isinstance(value, Mapping):
        return value
    known = cast("Json", value)
    return {name: _number(name, below) for name, below in known.items()}


def _number(name: str, value: object) -> object:
    if name == "state" and isinstance(value, str):
        return _STATE_NUMBERS.get(value, 99)  # a word no client knows is a number no client knows
    return _numbered(value) if name != "labels" else value


def failure(error: ApiError) -> web.Response:
    """Say no in Google's envelope; a note on the error names the field that is wrong."""
    fields = getattr(error, "__notes__", [])
    details: list[object] = []
    if fields:
        violation = {"field": fields[0], "description": str(error)}
        details = [{"@type": f"{_TYPES}/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return _envelope(error.status, str(error), error.code or _WORDS.get(error.status, "UNKNOWN"), details)


def refusal(fault: Fault) -> web.Response:
    """Word what a fault answers; ``note`` says how.

    ``html``: a page of a proxy. ``retry-info``: a ``RetryInfo`` detail instead of ``Retry-After``; ``both``:
    the detail and the header.
    """
    if fault.note == "html":
        page = _HTML.format(fault.status)
        return web.Response(status=fault.status, text=page, content_type="text/html")
    message = f"The simulator was told to answer {fault.status}."
    details: list[object] = []
    if fault.status == 429:  # noqa: PLR2004
        message = "Quota exceeded for aiplatform.googleapis.com/batch_prediction_job_submit_requests."
        violation = {"subject": "project", "description": message}
        details.append({"@type": f"{_TYPES}/google.rpc.QuotaFailure", "violations": [violation]})
    if fault.note in {"retry-info", "both"}:
        delay = f"{fault.retry_after_s or 0:g}s"
        details.append({"@type": f"{_TYPES}/google.rpc.RetryInfo", "retryDelay": delay})
    response = _envelope(fault.status, message, _WORDS.get(fault.status, "UNKNOWN"), details)
    if fault.retry_after_s is not None and fault.note != "retry-info":
        response.headers["Retry-After"] = f"{fault.retry_after_s:g}"
    return response


def _envelope(status: int, message: str, word: str, details: list[object]) -> web.Response:
    error: dict[str, object] = {"code": status, "message": message, "status": word}
    if details:
        error["details"] = details
    body = orjson.dumps({"error": error})
    return web.Response(status=status, body=body, content_type="application/json", charset="UTF-8")


def page_size_from(text: str) -> int:
    """Return how many jobs a page holds: 1 to 100, 100 when nothing is asked for."""
    if not text:
        return 100
    if not text.isdigit():
        raise invalid("Invalid page_size.", field="page_size")
    return min(int(text) or 100, 100)
