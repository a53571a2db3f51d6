"""Bodies of the calls that change endpoints, and Google's answers read into our values. No I/O.

Fields: the aiplatform v1 discovery document (revision 20261106).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vertexq.endpoints import DeployedModel, Endpoint, EndpointOrder, LongOperation, Resources
from vertexq.google.messages import Unreadable, inner, instant, items, mapping, text, whole

ENDPOINT_FIELDS = (
    "name,displayName,deployedModels,trafficSplit,labels,etag,dedicatedEndpointDns,createTime,updateTime"
)
_RESOURCES = ("automaticResources", "dedicatedResources", "sharedResources")
_METADATA = re.compile(r"\.v1(?:beta1)?\.(\w+?)(?:Operation)?Metadata$")


def endpoint_body(order: EndpointOrder) -> dict[str, object]:
    """Return the body of ``endpoints.create``."""
    body: dict[str, object] = {"displayName": order.display_name}
    if order.labels:
        body["labels"] = dict(order.labels)
    if order.dedicated:
        body["dedicatedEndpointEnabled"] = True
    return body


def deploy_body(order: EndpointOrder, traffic: Mapping[str, int]) -> dict[str, object]:
    """Return the body of ``endpoints.deployModel``; the model's id is the order's."""
    deployed: dict[str, object] = {"id": order.deployed_model_id, "model": order.model}
    if order.display_name:
        deployed["displayName"] = order.display_name
    deployed |= _resources(order.resources)
    return {"deployedModel": deployed, **({"trafficSplit": dict(traffic)} if traffic else {})}


def undeploy_body(deployed_model_id: str, traffic: Mapping[str, int]) -> dict[str, object]:
    """Return the body of ``endpoints.undeployModel``."""
    return {"deployedModelId": deployed_model_id, **({"trafficSplit": dict(traffic)} if traffic else {})}


def endpoint_from(value: object) -> Endpoint:
    """Read an endpoint; raise ``Unreadable`` when it has no name we could ask for."""
    said = mapping(value)
    name = text(said, "name")
    if not re.fullmatch(r"projects/[^/\s]+/locations/[a-z0-9-]+/endpoints/[^/\s]+", name):
        raise Unreadable("the endpoint has no readable name")
    split = mapping(said.get("trafficSplit"))
    return Endpoint(
        name=name,
        display_name=text(said, "displayName"),
        deployed=tuple(_deployed(mapping(one)) for one in items(said.get("deployedModels"))),
        traffic={model: whole(share) or 0 for model, share in split.items()},
        labels={key: str(label) for key, label in mapping(said.get("labels")).items()},
        etag=text(said, "etag"),
        dedicated_dns=text(said, "dedicatedEndpointDns"),
        created=instant(said.get("createTime")),
        updated=instant(said.get("updateTime")),
    )


def operation_from(value: object) -> LongOperation:
    """Read a long-running operation; raise ``Unreadable`` when it has no name."""
    said = mapping(value)
    name = text(said, "name")
    if "/operations/" not in name:
        raise Unreadable("the operation has no readable name")
    metadata = mapping(said.get("metadata"))
    generic = inner(metadata, "genericMetadata")
    found = _METADATA.search(text(metadata, "@type"))
    return LongOperation(
        name=name,
        kind=found[1] if found else "",
        done=said.get("done") is True,
        stage=text(metadata, "deploymentStage"),
        failures=tuple(_status(mapping(one)) for one in items(generic.get("partialFailures"))),
        error=_status(mapping(said.get("error"))) if said.get("error") else "",
        deployed_model_id=text(inner(said, "response", "deployedModel"), "id"),
        created=instant(generic.get("createTime")),
    )


def _resources(given: Resources) -> dict[str, object]:
    replicas: dict[str, object] = {
        "minReplicaCount": given.min_replicas,
        "maxReplicaCount": given.max_replicas or given.min_replicas,
    }
    if not given.machine_type:
        return {"automaticResources": replicas}
    machine: dict[str, object] = {"machineType": given.machine_type}
    if given.accelerator_type:
        machine |= {"acceleratorType": given.accelerator_type, "acceleratorCount": given.accelerators}
    return {"dedicatedResources": {"machineSpec": machine, **replicas}}


def _deployed(said: Mapping[str, object]) -> DeployedModel:
    return DeployedModel(
        id=text(said, "id"),
        model=text(said, "model"),
        display_name=text(said, "displayName"),
        model_version=text(said, "modelVersionId"),
        created=instant(said.get("createTime")),
        resources={name: said[name] for name in _RESOURCES if name in said},
    )


def _status(said: Mapping[str, object]) -> str:
    """Return a ``google.rpc.Status`` as words."""
    return f"{text(said, 'message') or '(no message)'} (code {whole(said.get('code')) or 0})"
