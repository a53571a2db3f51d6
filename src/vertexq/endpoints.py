"""Endpoints as Google has them, and our orders to change them: values and states. No I/O.

An endpoint serves models online. What changes one (create, deploy, undeploy, delete) takes Google minutes and
is a long-running operation there; our record of it is an ``Operation`` in the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vertexq.errors import BadInput

ENDPOINT_NAME = re.compile(r"projects/([^/\s?#]+)/locations/([a-z][a-z0-9-]*)/endpoints/([a-z0-9-]{1,63})")
NEW_MODEL = "0"
"""What a traffic split calls the model that is being deployed (aiplatform v1, DeployModelRequest)."""


class OperationKind(StrEnum):
    """What an order asks for."""

    CREATE = "create"
    DEPLOY = "deploy"
    UNDEPLOY = "undeploy"
    DELETE = "delete"


class OperationState(StrEnum):
    """Where an operation stands on our side."""

    QUEUED = "queued"  # ordered; nothing was sent
    SENDING = "sending"  # the call is being made, or had no clear answer: look before it is made again
    RUNNING = "running"  # Google has accepted it and named its operation
    DONE = "done"  # Google says that it is done, or it was so before
    FAILED = "failed"  # refused or failed; the reason says what to do


_O = OperationState
OPERATION_RESTING = frozenset({_O.DONE, _O.FAILED})
OPERATION_MOVES: dict[OperationState, frozenset[OperationState]] = {
    _O.QUEUED: frozenset({_O.SENDING, _O.DONE, _O.FAILED}),
    _O.SENDING: frozenset({_O.RUNNING, _O.QUEUED, _O.DONE, _O.FAILED}),
    _O.RUNNING: frozenset({_O.QUEUED, _O.DONE, _O.FAILED}),  # queued: the next call of the same order
    _O.DONE: frozenset(),
    _O.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedModel:
    """A model on an endpoint. ``id`` is its name in traffic splits."""

    id: str
    model: str
    display_name: str = ""
    model_version: str = ""
    created: datetime | None = None
    resources: Mapping[str, object] = field(default_factory=dict[str, object])  # as Google writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint; ``traffic`` is the share of requests, in per cent, of each deployed model's id.

    A dedicated endpoint is called at ``dedicated_dns``, a host of its own, and nowhere else.
    """

    name: str
    display_name: str
    deployed: tuple[DeployedModel, ...] = ()
    traffic: Mapping[str, int] = field(default_factory=dict[str, int])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    etag: str = ""
    dedicated_dns: str = ""
    created: datetime | None = None
    updated: datetime | None = None

    @property
    def id(self) -> str:
        """Return the last part of the name."""
        return self.name.rpartition("/")[2]

    def has(self, deployed_model_id: str) -> bool:
        """Tell whether a model of this id is deployed."""
        return any(one.id == deployed_model_id for one in self.deployed)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongOperation:
    """An operation as Google has it. ``stage`` is its deployment stage, ``failures`` what failed so far.

    ``error`` is what it ended with, empty for a success; ``deployed_model_id`` what a deploy made.
    """

    name: str
    kind: str = ""  # DeployModel, UndeployModel, CreateEndpoint, Delete
    done: bool = False
    stage: str = ""
    failures: tuple[str, ...] = ()
    error: str = ""
    deployed_model_id: str = ""
    created: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a deployed model runs on: at least and at most so many replicas.

    Without a machine type Google chooses (``automaticResources``), with one they are ``dedicatedResources``.
    """

    min_replicas: int = 1
    max_replicas: int = 0  # 0: as many as min_replicas
    machine_type: str = ""
    accelerator_type: str = ""
    accelerators: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOrder:
    """What somebody wants done to an endpoint; ``endpoint`` is its id. ``endpoint_orders`` checks it.

    An empty ``project`` or ``location`` is the worker's. ``traffic`` is the split that holds afterwards, in
    per cent by deployed model, ``0`` for a model being deployed; empty: unchanged.
    """

    kind: OperationKind
    endpoint: str
    project: str = ""
    location: str = ""
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    dedicated: bool = False
    model: str = ""
    deployed_model_id: str = ""
    resources: Resources = field(default_factory=Resources)
    traffic: Mapping[str, int] = field(default_factory=dict[str, int])
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An order in the ledger, and how far it is.

    ``call`` is the call of Google's that is under way (of a forced delete there are several), ``google_name``
    Google's name for it, ``stage`` Google's word for how far it is, ``looks`` how often it was looked at.
    """

    id: str
    kind: OperationKind
    state: OperationState
    version: int
    order: EndpointOrder
    project: str
    location: str
    endpoint: str
    call: str
    google_name: str
    stage: str
    looks: int
    reason: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    next_action_at: datetime | None
    attempts: int
    fence: int

    @property
    def name(self) -> str:
        """Return the endpoint's full name; empty while nobody knows where it is."""
        if not self.project or not self.location:
            return ""
        return f"projects/{self.project}/locations/{self.location}/endpoints/{self.endpoint}"

    @property
    def deployed_model_id(self) -> str:
        """Return the id of the model that is deployed or undeployed; empty for other orders."""
        return self.order.deployed_model_id

    @property
    def resting(self) -> bool:
        """Tell whether nothing more will happen."""
        return self.state in OPERATION_RESTING

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` prints."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "state": self.state.value,
            "endpoint": self.name or self.endpoint,
            "deployed_model_id": self.deployed_model_id,
            "stage": self.stage,
            "reason": self.reason,
            "operation": self.google_name,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
        }


def endpoint_place(endpoint: str) -> tuple[str, str, str]:
    """Return project, location and id of an endpoint; an id alone has no project and no location.

    Raise ``BadInput`` for a text that is neither an id nor a full name.
    """
    found = ENDPOINT_NAME.fullmatch(endpoint)
    if found is not None:
        return found[1], found[2], found[3]
    if not re.fullmatch(r"[a-z0-9-]{1,63}", endpoint):
        raise BadInput(
            f"{endpoint[:100]!r} is no endpoint: write its id, or projects/P/locations/L/endpoints/ID; "
            "`vertexq endpoints list` shows them"
        )
    return "", "", endpoint
