"""What callers ask of simulated endpoints: bodies read and judged.

The rules are those of the aiplatform v1 discovery document (revision 20261106).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from vertexq.errors import Refused
from vertexq.simulator.vertex.endpoint_book import SimulatedEndpoint
from vertexq.simulator.vertex.requests import invalid, spelled_body

Json = Mapping[str, object]

KEPT = ("displayName", "description", "labels", "dedicatedEndpointEnabled")
_CHOSEN = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
_MODEL = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/models/[^/]+")
_RESOURCES = ("automaticResources", "dedicatedResources", "sharedResources")
_NEW = "0"
_FREE = frozenset({"labels", "trafficSplit"})
_NAME_CHARS = 128


def body_of(data: bytes) -> dict[str, object]:
    """Return a body in Google's spelling; raise ``Refused`` when it is no JSON object."""
    return spelled_body(data, free=_FREE)


def new_endpoint(data: bytes, endpoint_id: str) -> dict[str, object]:
    """Return what the create of an endpoint says; raise ``Refused``."""
    body = body_of(data)
    if endpoint_id and not _CHOSEN.fullmatch(endpoint_id):
        raise invalid(f"Invalid endpoint_id: {endpoint_id}.", field="endpoint_id")
    if not body.get("displayName") or len(str(body["displayName"])) > _NAME_CHARS:
        raise invalid("The endpoint.display_name field is required, up to 128 characters.", field="endpoint")
    return {name: body[name] for name in KEPT if body.get(name)}


def model_to_deploy(body: Json, location: str, endpoint: SimulatedEndpoint) -> dict[str, object]:
    """Return the model that a deploy brings; raise ``Refused``."""
    given = body.get("deployedModel")
    model = dict(cast("Json", given)) if isinstance(given, dict) else {}
    found = _MODEL.fullmatch(str(model.get("model", "")))
    if found is None:
        raise invalid(f"Invalid model resource name: {model.get('model', '')}", field="deployed_model.model")
    if found["location"] != location:
        raise invalid(f"The model must be in the location of the endpoint, {location}.", field="model")
    chosen = str(model.get("id", ""))
    if chosen and (not re.fullmatch("[0-9]{1,10}", chosen) or endpoint.has(chosen)):
        raise invalid(f"Invalid or used DeployedModel.id: {chosen}.", field="deployed_model.id")
    if len([name for name in _RESOURCES if name in model]) > 1:
        raise invalid("At most one of the prediction_resources may be set.", field="deployed_model")
    for name in _RESOURCES[:2]:
        _check_replicas(model.get(name, {}))
    return model


def model_to_undeploy(body: Json, endpoint: SimulatedEndpoint) -> Json:
    """Return the deployed model that is to go; raise ``Refused``."""
    gone = str(body.get("deployedModelId", ""))
    for one in endpoint.deployed:
        if one["id"] == gone:
            return one
    raise invalid(f"The DeployedModel {gone} is not deployed on {endpoint.name}.", field="deployed_model_id")


def split_of(body: Json, endpoint: SimulatedEndpoint, *, new_id: str = "") -> dict[str, int] | None:
    """Return the traffic split of a body, None when it has none; ``0`` becomes ``new_id``."""
    given = body.get("trafficSplit")
    if not isinstance(given, dict) or not given:
        return None
    split = cast("dict[str, int]", given)
    if any(not isinstance(share, int) or not 0 <= share <= 100 for share in split.values()):  # noqa: PLR2004  # pyright: ignore[reportUnnecessaryIsInstance]
        raise invalid("Traffic split percentages must be whole numbers from 0 to 100.", field="traffic_split")
    if sum(split.values()) != 100:  # noqa: PLR2004
        raise invalid("Traffic split percentages must sum to 100.", field="traffic_split")
    for name in split:
        if not ((name == _NEW and new_id) or endpoint.has(name)):
            raise invalid(f"Traffic split names no deployed model: {name}.", field="traffic_split")
    return {new_id if name == _NEW else name: share for name, share in split.items()}


def check_free_of_traffic(endpoint: SimulatedEndpoint, gone: str, split: Mapping[str, int] | None) -> None:
    """Raise ``Refused`` when a model is to go that would still get requests, unless it is the last one."""
    share = (endpoint.traffic if split is None else split).get(gone, 0)
    if share and len(endpoint.deployed) > 1:
        raise Refused(
            f"The DeployedModel {gone} has {share}% of the traffic; unassign it first.",
            status=400,
            code="FAILED_PRECONDITION",
        )


def _check_replicas(resources: object) -> None:
    counts = cast("Mapping[str, int]", resources if isinstance(resources, dict) else {})
    least, most = counts.get("minReplicaCount", 1), counts.get("maxReplicaCount")
    if least < 1 or (most is not None and most < least):
        raise invalid("min_replica_count must be at least 1 and at most max_replica_count.", field="replicas")
