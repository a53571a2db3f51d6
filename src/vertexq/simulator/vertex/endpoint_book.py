"""The endpoints that the simulated Vertex AI knows, and the operations that change them, kept between runs.

An operation takes its time by the clock: what it changes is there when somebody asks after it is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

Json = Mapping[str, object]

STAGES = (  # DeployModelOperationMetadata.deploymentStage, in the order in which a deploy goes through them
    "STARTING_DEPLOYMENT",
    "PREPARING_MODEL",
    "CREATING_SERVING_CLUSTER",
    "ADDING_NODES_TO_CLUSTER",
    "GETTING_CONTAINER_IMAGE",
    "STARTING_MODEL_SERVER",
    "FINISHING_UP",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEndpoint:
    """An endpoint: what its create said, what is deployed, and how its traffic is split, in per cent."""

    name: str
    body: Json
    created: datetime
    updated: datetime
    ready_at: datetime
    deployed: tuple[Json, ...] = ()
    traffic: Mapping[str, int] = field(default_factory=dict[str, int])

    def has(self, deployed_model_id: str) -> bool:
        """Tell whether a model of this id is deployed."""
        return any(one["id"] == deployed_model_id for one in self.deployed)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOperation:
    """An operation: ``kind`` begins its metadata's type; ``model`` and ``traffic`` are what it changes.

    ``error`` is Google's code and message when it fails; ``partial`` a failure on the way that does no harm.
    """

    name: str
    kind: str
    endpoint: str
    began: datetime
    done_at: datetime
    model: Json = field(default_factory=dict[str, object])
    traffic: Mapping[str, int] | None = None
    error: tuple[int, str] | None = None
    partial: str = ""
    applied: bool = False

    def stage(self, now: datetime) -> str:
        """Return how far a deploy is."""
        if now >= self.done_at:
            return "FAILED_TO_DEPLOY" if self.error else "SUCCESSFULLY_DEPLOYED"
        share = (now - self.began) / (self.done_at - self.began)
        return STAGES[int(share * len(STAGES))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A line of the file: an endpoint or an operation as it was from then on, or an endpoint that is gone."""

    endpoint: SimulatedEndpoint | None = None
    operation: EndpointOperation | None = None
    gone: str = ""


class EndpointBook:
    """Endpoints and operations by their full names, which bear the project's number."""

    def __init__(self, path: Path | None, *, seed: int) -> None:
        self._path = path
        self._seed = seed
        self._endpoints: dict[str, SimulatedEndpoint] = {}
        self._operations: dict[str, EndpointOperation] = {}
        self._numbers = 0
        if path is not None and path.exists():
            self._read(path)

    def new_number(self) -> str:
        """Return 19 digits that nothing else has; the seed decides them."""
        self._numbers += 1
        digest = hashlib.blake2b(f"{self._seed}/e/{self._numbers}".encode(), digest_size=8).digest()
        return str(10**18 + int.from_bytes(digest) % (8 * 10**18))

    def endpoint(self, name: str) -> SimulatedEndpoint | None:
        """Return the endpoint of this name, also one that is still being created."""
        self._settle()
        return self._endpoints.get(name)

    def ready(self, name: str) -> SimulatedEndpoint | None:
        """Return the endpoint of this name when it has been created."""
        found = self.endpoint(name)
        return found if found and found.ready_at <= datetime.now(UTC) else None

    def endpoints(self, parent: str) -> list[SimulatedEndpoint]:
        """Return the endpoints of ``projects/N/locations/L``, the newest first."""
        self._settle()
        now, start = datetime.now(UTC), f"{parent}/endpoints/"
        return [
            one
            for one in reversed(list(self._endpoints.values()))
            if one.name.startswith(start) and one.ready_at <= now
        ]

    def operation(self, operation_id: str) -> EndpointOperation | None:
        """Return an operation by the last part of its name."""
        self._settle()
        return self._operations.get(operation_id)

    def operations(self, endpoint: str) -> list[EndpointOperation]:
        """Return the operations on an endpoint, the newest first."""
        self._settle()
        return [one for one in reversed(list(self._operations.values())) if one.endpoint == endpoint]

    def under_way(self, endpoint: str) -> EndpointOperation | None:
        """Return the operation that an endpoint is busy with."""
        return next((one for one in self.operations(endpoint) if not one.applied), None)

    def put(self, endpoint: SimulatedEndpoint) -> None:
        """Keep an endpoint as it is now."""
        self._endpoints[endpoint.name] = endpoint
        self._write(_Entry(endpoint=endpoint))

    def begin(self, operation: EndpointOperation) -> None:
        """Keep an operation that begins now."""
        self._operations[operation.name.rpartition("/")[2]] = operation
        self._write(_Entry(operation=operation))

    def _settle(self) -> None:
        """Let operations that are done by now take effect, in the order of their ends."""
        now = datetime.now(UTC)
        due = [one for one in self._operations.values() if not one.applied and one.done_at <= now]
        for one in sorted(due, key=lambda each: each.done_at):
            self._apply(one)
            self.begin(replace(one, applied=True))

    def _apply(self, operation: EndpointOperation) -> None:
        endpoint = self._endpoints.get(operation.endpoint)
        if endpoint is None or operation.error is not None:
            return
        if operation.kind == "Delete":
            del self._endpoints[endpoint.name]
            self._write(_Entry(gone=endpoint.name))
        elif operation.kind == "DeployModel":
            traffic = endpoint.traffic if operation.traffic is None else operation.traffic
            deployed = (*endpoint.deployed, operation.model)
            self.put(replace(endpoint, deployed=deployed, traffic=traffic, updated=operation.done_at))
        elif operation.kind == "UndeployModel":
            self.put(_without(endpoint, operation))

    def _read(self, path: Path) -> None:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    entry = msgspec.json.decode(line, type=_Entry)
                except msgspec.DecodeError:  # the last line of a simulator that was killed
                    continue
                self._numbers += 1
                if entry.endpoint is not None:
                    self._endpoints[entry.endpoint.name] = entry.endpoint
                if entry.operation is not None:
                    self._operations[entry.operation.name.rpartition("/")[2]] = entry.operation
                self._endpoints.pop(entry.gone, None)

    def _write(self, entry: _Entry) -> None:
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")

    def __iter__(self) -> Iterator[EndpointOperation]:
        """Yield every operation that was accepted, the oldest first."""
        return iter(list(self._operations.values()))


def _without(endpoint: SimulatedEndpoint, operation: EndpointOperation) -> SimulatedEndpoint:
    gone = operation.model["id"]
    left = tuple(one for one in endpoint.deployed if one["id"] != gone)
    split = endpoint.traffic if operation.traffic is None else operation.traffic
    traffic = {name: share for name, share in split.items() if name != gone and left}
    return replace(endpoint, deployed=left, traffic=traffic, updated=operation.done_at)
