"""Simulated endpoints and their operations as Google shows them."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

from vertexq.simulator.vertex.endpoint_book import EndpointOperation, SimulatedEndpoint
from vertexq.simulator.vertex.replies import rfc3339

_TYPES = "type.googleapis.com"
_V1 = f"{_TYPES}/google.cloud.aiplatform.v1"
_RESPONSES = {"UndeployModel": "UndeployModelResponse"}


def endpoint_json(endpoint: SimulatedEndpoint, *, host: str) -> dict[str, object]:
    """Return the resource; a dedicated endpoint's DNS name leads to ``host``."""
    stamp = hashlib.blake2b(repr(endpoint).encode(), digest_size=8).digest()
    resource: dict[str, object] = {"name": endpoint.name, **endpoint.body}
    if endpoint.deployed:
        resource["deployedModels"] = [dict(one) for one in endpoint.deployed]
    if endpoint.traffic:
        resource["trafficSplit"] = dict(endpoint.traffic)
    if endpoint.body.get("dedicatedEndpointEnabled"):
        resource["dedicatedEndpointDns"] = dedicated_host(host)
    return resource | {
        "etag": base64.b64encode(stamp).decode(),
        "createTime": rfc3339(endpoint.created),
        "updateTime": rfc3339(endpoint.updated),
    }


def dedicated_host(host: str) -> str:
    """Return the other name of this machine, at which a dedicated endpoint is called."""
    return f"localhost:{host.rpartition(':')[2]}"


def operation_json(
    operation: EndpointOperation, endpoint: SimulatedEndpoint | None, *, host: str, fresh: bool = False
) -> dict[str, object]:
    """Return an operation; ``done`` is left out until it is. ``fresh``: the answer to the call itself."""
    now = datetime.now(UTC)
    done = operation.applied and not fresh
    generic: dict[str, object] = {
        "createTime": rfc3339(operation.began),
        "updateTime": rfc3339(operation.done_at if done else operation.began),
    }
    if operation.partial and done:
        generic["partialFailures"] = [{"code": 14, "message": operation.partial}]
    metadata: dict[str, object] = {
        "@type": f"{_V1}.{operation.kind}OperationMetadata",
        "genericMetadata": generic,
    }
    if operation.kind == "DeployModel":
        metadata["deploymentStage"] = operation.stage(now) if not fresh else "STARTING_DEPLOYMENT"
    about: dict[str, object] = {"name": operation.name, "metadata": metadata}
    if not done:
        return about
    if operation.error is not None:
        return about | {"done": True, "error": {"code": operation.error[0], "message": operation.error[1]}}
    return about | {"done": True, "response": _response(operation, endpoint, host)}


def _response(
    operation: EndpointOperation, endpoint: SimulatedEndpoint | None, host: str
) -> dict[str, object]:
    match operation.kind:
        case "CreateEndpoint":
            shown = endpoint_json(endpoint, host=host) if endpoint else {"name": operation.endpoint}
            return {"@type": f"{_V1}.Endpoint", **shown}
        case "DeployModel":
            return {"@type": f"{_V1}.DeployModelResponse", "deployedModel": dict(operation.model)}
        case "UndeployModel":
            return {"@type": f"{_V1}.UndeployModelResponse"}
        case _:
            return {"@type": f"{_TYPES}/google.protobuf.Empty"}
