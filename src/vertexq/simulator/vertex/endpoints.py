"""Endpoints of the simulated Vertex AI: create, list, get, patch, deploy, undeploy, delete, operations.

Two conventions make things fail: deploying a model whose id holds ``broken`` ends in an error, one whose id
holds ``flaky`` succeeds with a partial failure on the way.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from vertexq.errors import NotFound, Refused
from vertexq.google.messages import mapping
from vertexq.simulator.fieldmask import masked
from vertexq.simulator.filters import Facts, endpoint_filter
from vertexq.simulator.timing import Timing
from vertexq.simulator.vertex.endpoint_book import EndpointBook, EndpointOperation, SimulatedEndpoint
from vertexq.simulator.vertex.endpoint_replies import endpoint_json, operation_json
from vertexq.simulator.vertex.endpoint_requests import (
    KEPT,
    body_of,
    check_free_of_traffic,
    model_to_deploy,
    model_to_undeploy,
    new_endpoint,
    split_of,
)
from vertexq.simulator.vertex.gate import Call
from vertexq.simulator.vertex.models import Models
from vertexq.simulator.vertex.replies import answer, page_size_from
from vertexq.simulator.vertex.requests import invalid, project_number

LOCATION = "/{version:v1|v1beta1}/projects/{project:[^/]+}/locations/{location:[^/]+}"
_ENDPOINTS = f"{LOCATION}/endpoints"
ENDPOINT = f"{_ENDPOINTS}/{{endpoint:[^/:]+}}"
# google-cloud-aiplatform asks for operations below /ui
_NESTED = f"{ENDPOINT.replace('v1beta1', 'v1beta1|ui')}/operations"
_OPERATION = f"{_NESTED}/{{operation:[^/:]+}}"
Method = tuple[str, str, str, Call]


class Endpoints:
    """The calls to endpoints. ``host`` says where the simulator listens."""

    def __init__(self, *, models: Models, timing: Timing, seed: int, host: Callable[[], str]) -> None:
        self._models = models
        self._timing = timing
        self._seed = seed
        self._host = host
        self.book = EndpointBook(None, seed=seed)

    def open(self, path: Path) -> None:
        """Keep everything in a file from now on, and know what an earlier run left there."""
        self.book = EndpointBook(path, seed=self._seed)

    def methods(self) -> Iterable[Method]:
        """Return verb, path, Google's name and call of each method."""
        return [
            ("POST", _ENDPOINTS, "endpoints.create", self._create),
            ("GET", _ENDPOINTS, "endpoints.list", self._list),
            ("GET", ENDPOINT, "endpoints.get", self._get),
            ("PATCH", ENDPOINT, "endpoints.patch", self._patch),
            ("DELETE", ENDPOINT, "endpoints.delete", self._delete),
            ("POST", ENDPOINT + ":deployModel", "endpoints.deployModel", self._deploy),
            ("POST", ENDPOINT + ":undeployModel", "endpoints.undeployModel", self._undeploy),
            ("GET", _NESTED, "endpoints.operations.list", self._operations),
            ("GET", _OPERATION, "endpoints.operations.get", self._operation),
            ("POST", _OPERATION + ":wait", "endpoints.operations.wait", self._operation),
        ]

    def operation(self, operation_id: str) -> dict[str, object] | None:
        """Return an operation as Google does, whatever path it was asked for at; None when there is none."""
        found = self.book.operation(operation_id)
        if found is None:
            return None
        return operation_json(found, self.book.endpoint(found.endpoint), host=self._host())

    def serving(self, model: str) -> list[dict[str, object]]:
        """Return where a model, by its full name, is deployed, as the model's resource has it."""
        parent, _, word = model.partition("/models/")
        return [
            {"endpoint": one.name, "deployedModelId": deployed["id"]}
            for one in self.book.endpoints(parent)
            for deployed in one.deployed
            if str(deployed["model"]).partition("/models/")[2].partition("@")[0] == word.partition("@")[0]
        ]

    async def _create(self, request: web.Request) -> web.Response:
        chosen = request.query.get("endpointId", "")
        body = new_endpoint(await request.read(), chosen)
        name = f"{_parent_of(request)}/endpoints/{chosen or self.book.new_number()}"
        if self.book.endpoint(name):
            raise Refused(f"The Endpoint {name} already exists.", status=409, code="ALREADY_EXISTS")
        now = datetime.now(UTC)
        begun = self._begin("CreateEndpoint", name, takes_s=self._timing.operation_s, now=now)
        self.book.put(
            SimulatedEndpoint(name=name, body=body, created=now, updated=now, ready_at=begun.done_at)
        )
        return self._said(begun, request)

    async def _get(self, request: web.Request) -> web.Response:
        return answer(endpoint_json(self._asked_for(request), host=self._host()), request)

    async def _list(self, request: web.Request) -> web.Response:
        """Answer with a page, newest first; a page's token is the number of endpoints before it."""
        wanted = endpoint_filter(request.query.get("filter", ""))
        size, begin = page_size_from(request.query.get("pageSize", "")), _begin_of(request)
        found = [one for one in self.book.endpoints(_parent_of(request)) if wanted(_facts(one))]
        mask = request.query.get("readMask", "")
        shown = [masked(endpoint_json(one, host=self._host()), mask) for one in found[begin : begin + size]]
        return answer(_page("endpoints", shown, begin + size, len(found)), request)

    async def _patch(self, request: web.Request) -> web.Response:
        endpoint, body = self._asked_for(request), body_of(await request.read())
        if body.get("etag") not in {None, "", endpoint_json(endpoint, host="")["etag"]}:
            raise Refused("The etag is not that of the endpoint as it is now.", status=409, code="ABORTED")
        mask = [word for word in request.query.get("updateMask", "").split(",") if word]
        changed = replace(endpoint, updated=datetime.now(UTC))
        if {"trafficSplit", "traffic_split"} & set(mask):
            changed = replace(changed, traffic=split_of(body, endpoint) or {})
        named = {"displayName" if word == "display_name" else word.partition(".")[0] for word in mask}
        given = {name: body[name] for name in KEPT if name in named and name in body}
        changed = replace(changed, body={**endpoint.body, **given})
        self.book.put(changed)
        return answer(endpoint_json(changed, host=self._host()), request)

    async def _deploy(self, request: web.Request) -> web.Response:
        endpoint, body = self._free(request), body_of(await request.read())
        model = model_to_deploy(body, request.match_info["location"], endpoint)
        self._models.check_own(str(model["model"]))
        now = datetime.now(UTC)
        model |= {"id": model.get("id") or self.book.new_number(), "modelVersionId": "1"}
        model["createTime"] = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        split = split_of(body, endpoint, new_id=str(model["id"]))
        word = str(model["model"])
        begun = self._begin(
            "DeployModel", endpoint.name, takes_s=self._timing.deploy_s, now=now, model=model, traffic=split,
            error=(13, "Model server exited unexpectedly.") if "broken" in word else None,
            partial="A replica did not start; another took its place." if "flaky" in word else "",
        )  # fmt: skip
        return self._said(begun, request)

    async def _undeploy(self, request: web.Request) -> web.Response:
        endpoint, body = self._free(request), body_of(await request.read())
        model = model_to_undeploy(body, endpoint)
        split = split_of(body, endpoint)
        check_free_of_traffic(endpoint, str(model["id"]), split)
        takes_s, now = self._timing.operation_s, datetime.now(UTC)
        begun = self._begin(
            "UndeployModel", endpoint.name, takes_s=takes_s, now=now, model=model, traffic=split
        )
        return self._said(begun, request)

    async def _delete(self, request: web.Request) -> web.Response:
        endpoint = self._free(request)
        if endpoint.deployed:
            message = f"The Endpoint {endpoint.name} has deployed models; undeploy them first."
            raise Refused(message, status=400, code="FAILED_PRECONDITION")
        now = datetime.now(UTC)
        return self._said(
            self._begin("Delete", endpoint.name, takes_s=self._timing.operation_s, now=now), request
        )

    async def _operation(self, request: web.Request) -> web.Response:
        found = self.operation(request.match_info["operation"])
        if found is None:
            raise NotFound("The Operation does not exist.", status=404, code="NOT_FOUND")
        return answer(found, request)

    async def _operations(self, request: web.Request) -> web.Response:
        found = self.book.operations(_name_of(request))
        size, begin = page_size_from(request.query.get("pageSize", "")), _begin_of(request)
        shown = [self.operation(one.name.rpartition("/")[2]) for one in found[begin : begin + size]]
        return answer(_page("operations", shown, begin + size, len(found)), request)

    def _begin(
        self,
        kind: str,
        endpoint: str,
        *,
        takes_s: float,
        now: datetime,
        model: Mapping[str, object] | None = None,
        traffic: Mapping[str, int] | None = None,
        error: tuple[int, str] | None = None,
        partial: str = "",
    ) -> EndpointOperation:
        begun = EndpointOperation(
            name=f"{endpoint}/operations/{self.book.new_number()}",
            kind=kind,
            endpoint=endpoint,
            began=now,
            done_at=now + timedelta(seconds=takes_s),
            model=model or {},
            traffic=traffic,
            error=error,
            partial=partial,
        )
        self.book.begin(begun)
        return begun

    def _said(self, begun: EndpointOperation, request: web.Request) -> web.Response:
        return answer(operation_json(begun, None, host=self._host(), fresh=True), request)

    def _asked_for(self, request: web.Request) -> SimulatedEndpoint:
        name = _name_of(request)
        found = self.book.ready(name)
        if found is None:
            raise NotFound(f"The Endpoint {name} does not exist.", status=404, code="NOT_FOUND")
        return found

    def _free(self, request: web.Request) -> SimulatedEndpoint:
        """Return the endpoint; raise ``Refused`` while another operation runs on it."""
        endpoint = self._asked_for(request)
        if busy := self.book.under_way(endpoint.name):
            raise Refused(
                f'There are other operations running on the Endpoint "{endpoint.name}". '
                f"Operation(s) are: {busy.name}.",
                status=400,
                code="FAILED_PRECONDITION",
            )
        return endpoint


def _parent_of(request: web.Request) -> str:
    match = request.match_info
    return f"projects/{project_number(match['project'])}/locations/{match['location']}"


def _name_of(request: web.Request) -> str:
    return f"{_parent_of(request)}/endpoints/{request.match_info['endpoint']}"


def _page(word: str, shown: Sequence[object], end: int, total: int) -> dict[str, object]:
    page: dict[str, object] = {word: shown} if shown else {}
    if end < total:
        page["nextPageToken"] = base64.urlsafe_b64encode(f"{end}".encode()).decode()
    return page


def _begin_of(request: web.Request) -> int:
    try:
        return int(base64.urlsafe_b64decode(request.query.get("pageToken", "")) or b"0")
    except (binascii.Error, ValueError) as error:
        raise invalid("The page token is invalid.", field="page_token") from error


def _facts(endpoint: SimulatedEndpoint) -> Facts:
    labels = mapping(endpoint.body.get("labels"))
    return Facts(
        display_name=str(endpoint.body["displayName"]),
        model_display_name="",
        state="",
        create_time=endpoint.created,
        labels={key: str(value) for key, value in labels.items()},
        endpoint=endpoint.name.rpartition("/")[2],
    )
