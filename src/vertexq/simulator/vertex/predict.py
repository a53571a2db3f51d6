"""The online side of the simulated Vertex AI: predict, generateContent and embedContent.

What a model answers is made like a row of its batch jobs, from the seed and the request alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

import orjson
from aiohttp import web

from vertexq.errors import ApiError, NotFound, Refused
from vertexq.families.row_status import parse_status
from vertexq.google.messages import items, mapping
from vertexq.simulator.behaviour import Behaviour, Behaviours
from vertexq.simulator.kinds.base import Kind, OnlineForm, Task
from vertexq.simulator.vertex.endpoint_book import EndpointBook
from vertexq.simulator.vertex.endpoint_replies import dedicated_host
from vertexq.simulator.vertex.gate import Call
from vertexq.simulator.vertex.models import Models
from vertexq.simulator.vertex.replies import answer
from vertexq.simulator.vertex.requests import invalid, project_number

MATCH = "online"
"""What a behaviour is set for (``match``) to decide how online calls fare."""
BODY_LIMIT_BYTES = 1_500_000  # of :predict
_VERBS = ("predict", "generateContent", "embedContent")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineCall:
    """One call that would be paid for. ``digest`` is the SHA-256 of the request, in hex."""

    name: str
    verb: str
    model: str
    digest: str
    time: datetime


class OnlineDesk:
    """Answers online calls. ``accepted`` is the oracle: every call that was answered with success."""

    def __init__(
        self, *, models: Models, behaviours: Behaviours, seed: int, endpoints: Callable[[], EndpointBook]
    ) -> None:
        self.accepted: list[OnlineCall] = []
        self._models = models
        self._behaviours = behaviours
        self._seed = seed
        self._endpoints = endpoints
        self._asked = 0

    def methods(self, location: str) -> Iterator[tuple[str, str, str, Call]]:
        """Yield verb, path, Google's name of the method and the call, below the path of a ``location``."""
        published = f"{location}/publishers/{{publisher:[^/]+}}/models/{{model:[^/:]+}}"
        endpoints = f"{location}/endpoints/{{endpoint:[^/:]+}}"
        for verb in _VERBS:
            yield "POST", f"{published}:{verb}", f"publishers.models.{verb}", self._call(verb)
        for verb in _VERBS[:2]:
            yield "POST", f"{endpoints}:{verb}", f"endpoints.{verb}", self._call(verb)

    def _call(self, verb: str) -> Call:
        async def call(request: web.Request) -> web.Response:
            body = await request.read()
            name = request.path.split("/", 2)[2].rpartition(":")[0]
            served = self._served(name, request.host) if name.split("/")[-2] == "endpoints" else None
            return answer(self._answered(name, served, verb, body), request)

        return call

    def _answered(
        self, name: str, served: Mapping[str, object] | None, verb: str, body: bytes
    ) -> Mapping[str, object]:
        model = str(served["model"]) if served else self._published(name)
        kind = self._models.kind_of(model)
        form = kind.online
        if form is None or form.verb != verb:
            raise invalid(f"{name.rpartition('/')[2]} does not support {verb}.", field="model")
        if verb == "predict" and len(body) > BODY_LIMIT_BYTES:
            raise invalid("Request size exceeds 1.5MB, the request should be smaller.", field="instances")
        given = _object(body)
        self._asked += 1
        said = (
            {**self._predicted(kind, form, model, given), "deployedModelId": served["id"] if served else "1"}
            if verb == "predict"
            else self._said(kind, form, model, given, {})
        )
        digest = hashlib.sha256(body).hexdigest()
        self.accepted.append(
            OnlineCall(name=name, verb=verb, model=model, digest=digest, time=datetime.now(UTC))
        )
        return cast("Mapping[str, object]", said)

    def _served(self, name: str, host: str) -> Mapping[str, object]:
        """Return the model that most of an endpoint's calls go to; raise ``NotFound``, ``Refused``.

        A dedicated endpoint is called at its own host only.
        """
        parts = name.split("/")
        full = "/".join([parts[0], project_number(parts[1]), *parts[2:]])
        found = self._endpoints().ready(full)
        if found is None:
            raise NotFound(f"The Endpoint {full} does not exist.", status=404, code="NOT_FOUND")
        message = "" if found.deployed else f"The Endpoint {full} has no deployed model to serve."
        if found.body.get("dedicatedEndpointEnabled") and host != dedicated_host(host):
            message = "Dedicated Endpoint cannot be accessed through the shared Vertex AI domain."
        if message:
            raise Refused(message, status=400, code="FAILED_PRECONDITION")
        return max(found.deployed, key=lambda one: found.traffic.get(str(one["id"]), 0))

    def _published(self, name: str) -> str:
        """Return the publisher's model that is asked, in full; raise ``NotFound``."""
        parts = name.split("/")
        self._models.check_published(parts[-3], parts[-1], parts[3])
        return name

    def _predicted(
        self, kind: Kind, form: OnlineForm, model: str, given: Mapping[str, object]
    ) -> Mapping[str, object]:
        instances, parameters = items(given.get("instances")), mapping(given.get("parameters"))
        if not instances:
            raise invalid("The instances field is required and must be a list.", field="instances")
        said = [self._said(kind, form, model, _instance(one), parameters) for one in instances]
        return {"predictions": said, "model": model}

    def _said(
        self,
        kind: Kind,
        form: OnlineForm,
        model: str,
        given: Mapping[str, object],
        parameters: Mapping[str, object],
    ) -> object:
        behaviour = self._behaviour()
        line = form.line(given)
        importer = kind.importer(behaviour)
        if error := importer.feed(line):
            raise Refused(error.message, status=400, code="INVALID_ARGUMENT")
        task = Task(
            seed=self._seed,
            model=model,
            behaviour=behaviour,
            shape=importer.shape,
            salt=f"{MATCH} {self._asked}",
            parameters=parameters,
        )
        (written, *_) = kind.answerer(task).answer(line, datetime.now(UTC)).lines or (b"{}",)
        row = cast("dict[str, object]", orjson.loads(written))
        if status := row.get("status") or row.get("error"):
            raise _error(status)
        return form.said(row)

    def _behaviour(self) -> Behaviour:
        """Return how calls fare: as jobs do, but what passes is for those that ask for it by ``MATCH``."""
        special = self._behaviours.special(MATCH)
        if special is None:
            usual = self._behaviours.of("", {})
            special = replace(
                usual, quota_rows=0.0, server_error_rows=0.0, missing_rows=0.0, unwritten_rows=0.0
            )
        return replace(special, corrupt_rows=0.0, repeated_rows=0.0, import_check=False, union_nulls=False)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        given: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid("Invalid JSON payload received.", field="body") from error
    return _instance(given)


def _instance(given: object) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise invalid("Invalid value: it must be an object.", field="body")
    return cast("dict[str, object]", given)


def _error(status: object) -> ApiError:
    """Return the error that a row's status stands for."""
    said = parse_status(status)
    return ApiError(said.message, status=said.code or 500, code=said.word or "")
