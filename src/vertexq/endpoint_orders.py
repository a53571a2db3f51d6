"""Orders to endpoints, checked before anything is sent, and as messages. No I/O.

The rules are those of the aiplatform v1 discovery document (revision 20261106): ``endpoints.create``,
``DeployModelRequest``, ``UndeployModelRequest``, ``DeployedModel`` and ``AutomaticResources``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from hashlib import blake2b
from typing import Any

import msgspec

from vertexq.endpoints import NEW_MODEL, EndpointOrder, OperationKind, Resources, endpoint_place
from vertexq.errors import BadInput
from vertexq.places import REGIONLESS

WHOLE = 100
_CHOSEN_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
_NAME_CHARS = 128
_MODEL = re.compile(r"projects/([^/\s]+)/locations/([a-z0-9-]+)/models/([\w-]+)(@[\w-]+)?")
_MODEL_ID = re.compile(r"([\w-]+)(@[\w-]+)?")
_DEPLOYED_ID = re.compile(r"[0-9]{1,10}|[0-9]{11,20}")  # ours are short, Google's own are longer
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_REPLICAS = 1_000


def checked(order: EndpointOrder) -> EndpointOrder:
    """Return the order as it goes into the ledger; raise ``BadInput`` with the sentence that says why not."""
    if order.kind is OperationKind.CREATE:
        _check_new_id(order.endpoint.rpartition("/")[2])
    order = _placed(order)
    match order.kind:
        case OperationKind.CREATE:
            return _checked_create(order)
        case OperationKind.DEPLOY:
            return _checked_deploy(order)
        case OperationKind.UNDEPLOY:
            _check_deployed_id(order.deployed_model_id)
            check_split(order.traffic, new=False)
            if order.traffic.get(order.deployed_model_id):
                raise BadInput(f"the traffic split gives {order.deployed_model_id} requests, and it is to go")
        case OperationKind.DELETE:
            pass
    return order


def check_split(traffic: Mapping[str, int], *, new: bool) -> None:
    """Raise ``BadInput`` unless a traffic split is empty or sums to 100; ``new``: one is being deployed."""
    if not traffic:
        return
    shown = ", ".join(f"{name}={share}" for name, share in traffic.items())
    for name, share in traffic.items():
        if name == NEW_MODEL and not new:
            raise BadInput(f"the traffic split ({shown}) names 0, the model being deployed: none is")
        if name != NEW_MODEL:
            _check_deployed_id(name)
        if not 0 <= share <= WHOLE:
            raise BadInput(f"the traffic split ({shown}) gives {name} {share} per cent; use 0 to 100")
    if (total := sum(traffic.values())) != WHOLE:
        raise BadInput(f"the traffic split ({shown}) sums to {total}, and must sum to 100; nothing was sent")
    if new and NEW_MODEL not in traffic:
        raise BadInput(
            f"the traffic split ({shown}) does not name the new model; give it a share as 0=PERCENT"
        )


def check_place(location: str) -> None:
    """Raise ``BadInput`` for a location that has no endpoints."""
    if location in REGIONLESS:
        raise BadInput(
            f"endpoints are in a region, not in {location!r}: name one with --location, or set "
            "GOOGLE_CLOUD_LOCATION to one such as us-central1"
        )


def with_model_id(order: EndpointOrder, operation_id: str) -> EndpointOrder:
    """Return a deploy with an id for its model, which the operation's id decides.

    An id that is chosen by us makes the model recognisable when the answer to a deploy is lost. It has ten
    digits, the most that ``DeployedModel.id`` takes.
    """
    if order.kind is not OperationKind.DEPLOY or order.deployed_model_id:
        return order
    digest = blake2b(f"{operation_id} {order.endpoint}".encode(), digest_size=8).digest()
    return replace(order, deployed_model_id=str(10**9 + int.from_bytes(digest) % (9 * 10**9)))


def in_place(order: EndpointOrder, project: str, location: str) -> EndpointOrder:
    """Return the order with a place, for one that names none, checked for that; raise ``BadInput``."""
    return checked(replace(order, project=order.project or project, location=order.location or location))


def to_message(operation_id: str, order: EndpointOrder) -> dict[str, Any]:
    """Return an order as plain values."""
    return {"id": operation_id, "order": asdict(order)}


def from_message(message: Mapping[str, Any]) -> tuple[str, EndpointOrder]:
    """Read an order that somebody sent through the broker; raise ``BadInput`` when it is none."""
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not re.fullmatch(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", operation_id
    ):
        raise BadInput("this is no order: its id is 1 to 63 letters, digits, '.', '_' or '-'")
    return operation_id, with_model_id(checked(order_from(message.get("order"))), operation_id)


def order_from(value: object) -> EndpointOrder:
    """Read an order from its plain values; raise ``BadInput``."""
    if not isinstance(value, Mapping):
        raise BadInput("this is no order to an endpoint: an object is expected")
    known = {one.name for one in fields(EndpointOrder)}
    if unknown := sorted(str(name) for name in value if name not in known):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        raise BadInput(f"this is no order to an endpoint: it has no {unknown[0][:40]!r}")
    try:
        return msgspec.convert(value, EndpointOrder)
    except msgspec.ValidationError as error:
        raise BadInput(f"this is no order to an endpoint: {error}") from None


def _placed(order: EndpointOrder) -> EndpointOrder:
    """Take project and location from a full name; two that differ are a mistake."""
    project, location, known = endpoint_place(order.endpoint)
    for word, named, given in (("project", project, order.project), ("location", location, order.location)):
        if named and given and named != given:
            raise BadInput(f"the endpoint {order.endpoint} is in the {word} {named}, not in {given}")
    placed = replace(
        order, endpoint=known, project=order.project or project, location=order.location or location
    )
    if placed.location:
        check_place(placed.location)
    return placed


def _check_new_id(text: str) -> None:
    if not _CHOSEN_ID.fullmatch(text):
        raise BadInput(
            f"{text[:100]!r} cannot be the id of a new endpoint: use 1 to 63 letters (lower case), digits "
            "and '-', beginning with a letter, not ending with '-', or up to 9 digits, not beginning with 0"
        )


def _checked_create(order: EndpointOrder) -> EndpointOrder:
    name = order.display_name or order.endpoint
    if len(name) > _NAME_CHARS:
        raise BadInput(f"the display name has {len(name)} characters; Google takes {_NAME_CHARS}")
    for key, value in order.labels.items():
        if not _LABEL.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise BadInput(f"the label {key}={value} has other characters than a-z, 0-9, '_' and '-'")
    return replace(order, display_name=name)


def _checked_deploy(order: EndpointOrder) -> EndpointOrder:
    if order.deployed_model_id and not re.fullmatch("[0-9]{1,10}", order.deployed_model_id):
        raise BadInput(
            f"{order.deployed_model_id!r} cannot be the id of a deployed model: use 1 to 10 digits"
        )
    check_split(order.traffic, new=True)
    order = replace(order, resources=_checked_resources(order.resources))
    if "publishers/" in order.model:
        raise BadInput(
            f"{order.model} is a publisher's model: it needs no endpoint of yours; deploy a model of your own"
        )
    short = _MODEL_ID.fullmatch(order.model)
    if short and order.project and order.location:
        model = f"projects/{order.project}/locations/{order.location}/models/{order.model}"
        return replace(order, model=model)
    if short:
        return order  # the worker knows the project
    found = _MODEL.fullmatch(order.model)
    if found is None:
        raise BadInput(
            f"{order.model[:100]!r} is no model to deploy: write its id, or projects/P/locations/L/models/ID"
        )
    if order.location and found[2] != order.location:
        raise BadInput(
            f"the model {order.model} is in {found[2]} and the endpoint in {order.location}: both must be in "
            "one location"
        )
    return order


def _checked_resources(given: Resources) -> Resources:
    most = given.max_replicas or given.min_replicas
    if given.min_replicas < 1 or most < given.min_replicas or most > _REPLICAS:
        raise BadInput(
            f"replicas: at least {given.min_replicas} and at most {most} does not fit; the least is 1 or "
            f"more, the most not below it and at most {_REPLICAS}"
        )
    if bool(given.accelerator_type) != bool(given.accelerators) or given.accelerators < 0:
        raise BadInput("an accelerator has a type and a number: name both, or none")
    if given.accelerator_type and not given.machine_type:
        raise BadInput("an accelerator needs a machine type, such as g2-standard-8")
    return replace(given, max_replicas=most)


def _check_deployed_id(text: str) -> None:
    if not _DEPLOYED_ID.fullmatch(text):
        raise BadInput(
            f"{text!r} is no id of a deployed model, which has digits only: see `vertexq endpoints list`"
        )
