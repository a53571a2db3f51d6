"""What an order to an endpoint needs next, decided from what the endpoint looks like now. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vertexq.endpoints import NEW_MODEL, Endpoint, EndpointOrder, OperationKind

ALL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The next call of Google's. ``traffic`` is its split, empty to leave it as it is; ``said`` says why."""

    kind: OperationKind
    traffic: Mapping[str, int] = field(default_factory=dict[str, int])
    deployed_model_id: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing is left to be done."""

    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """It cannot be done; nothing is sent."""

    said: str


Plan = Call | Done | Wrong


def plan(order: EndpointOrder, found: Endpoint | None) -> Plan:
    """Return what to do, for an endpoint as Google shows it; None: Google shows none."""
    match order.kind:
        case OperationKind.CREATE:
            return _create(order, found)
        case OperationKind.DELETE:
            return _delete(order, found)
        case OperationKind.DEPLOY:
            return _deploy(order, found) if found else _nowhere(order)
        case OperationKind.UNDEPLOY:
            return _undeploy(order, found) if found else _nowhere(order)


def moved_to_others(traffic: Mapping[str, int], gone: str) -> dict[str, int]:
    """Return a split without one model; its share goes to the one that has most already, the first of equals.

    ``{"1": 50, "2": 30, "3": 20}`` without ``1`` is ``{"2": 80, "3": 20}``. Empty when nobody is left.
    """
    left = {name: share for name, share in traffic.items() if name != gone}
    if not left or not traffic.get(gone):
        return left if sum(left.values()) == ALL else {}
    most = max(left, key=lambda name: left[name])
    return {**left, most: left[most] + traffic[gone]}


def _create(order: EndpointOrder, found: Endpoint | None) -> Plan:
    if found is None:
        return Call(kind=OperationKind.CREATE)
    if found.display_name == order.display_name:
        return Done(said="the endpoint is there")
    return Wrong(
        said=f"there is an endpoint {order.endpoint} already, and it is called {found.display_name!r}, not "
        f"{order.display_name!r}; take another id, or its name"
    )


def _deploy(order: EndpointOrder, found: Endpoint) -> Plan:
    there = next((one for one in found.deployed if one.id == order.deployed_model_id), None)
    if there is not None:
        if _plain(there.model) == _plain(order.model):
            return Done(said="the model is deployed")
        return Wrong(
            said=f"the id {order.deployed_model_id} belongs to another model, {there.model}; take another id"
        )
    if wrong := _unknown(order.traffic, found):
        return wrong
    if order.traffic or found.deployed:
        said = "" if order.traffic else "the model gets no requests until the traffic split is changed"
        return Call(kind=OperationKind.DEPLOY, traffic=order.traffic, said=said)
    return Call(kind=OperationKind.DEPLOY, traffic={NEW_MODEL: ALL})


def _undeploy(order: EndpointOrder, found: Endpoint) -> Plan:
    gone = order.deployed_model_id
    if not found.has(gone):
        return Done(said="the model is not deployed")
    if wrong := _unknown(order.traffic, found):
        return wrong
    share = found.traffic.get(gone, 0)
    if share and not order.traffic and len(found.deployed) > 1:
        others = ", ".join(one.id for one in found.deployed if one.id != gone)
        return Wrong(
            said=f"{gone} gets {share} per cent of the requests; say with a traffic split who gets them "
            f"(there are also: {others})"
        )
    return Call(kind=OperationKind.UNDEPLOY, traffic=order.traffic, deployed_model_id=gone)


def _delete(order: EndpointOrder, found: Endpoint | None) -> Plan:
    if found is None:
        return Done(said="the endpoint is not there")
    if not found.deployed:
        return Call(kind=OperationKind.DELETE)
    ids = [one.id for one in found.deployed]
    if not order.force:
        return Wrong(
            said=f"models are deployed on {order.endpoint}: {', '.join(ids)}; undeploy them first, or "
            "delete it with --force"
        )
    least = min(ids, key=lambda one: found.traffic.get(one, 0))  # a model that gets all can go last only
    traffic = moved_to_others(found.traffic, least)
    said = f"{len(ids)} models are to be undeployed first" if len(ids) > 1 else ""
    return Call(kind=OperationKind.UNDEPLOY, traffic=traffic, deployed_model_id=least, said=said)


def _unknown(traffic: Mapping[str, int], found: Endpoint) -> Wrong | None:
    for name in traffic:
        if name != NEW_MODEL and not found.has(name):
            known = ", ".join(one.id for one in found.deployed) or "none"
            return Wrong(said=f"the traffic split names {name}, which is not deployed (deployed: {known})")
    return None


def _nowhere(order: EndpointOrder) -> Wrong:
    return Wrong(said=f"there is no endpoint {order.endpoint} in {order.location}; create it first")


def _plain(model: str) -> str:
    """Return a model's id: Google writes the project's number for its id, and leaves versions out."""
    return model.rpartition("/")[2].partition("@")[0]
