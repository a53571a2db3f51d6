"""Drives simulated endpoints with google-cloud-aiplatform and prints what the client saw, as JSON.

Run by test_official_endpoints_client.py: ``python aiplatform_endpoints_driver.py URL``.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any

MODEL = "projects/my-project/locations/us-central1/models/flowers"
DEADLINE_S = 20.0

# The package is not in the environment that checks types; taken as Any it does not matter.
Api = Any
aiplatform: Api = importlib.import_module("google.cloud.aiplatform")
gapic: Api = importlib.import_module("google.cloud.aiplatform_v1")
errors: Api = importlib.import_module("google.api_core.exceptions")
credentials: Api = importlib.import_module("google.oauth2.credentials").Credentials(token="fake")


def main(url: str) -> Mapping[str, object]:
    """Create an endpoint, deploy on it, ask it, undeploy and delete; return what was seen."""
    aiplatform.init(
        project="my-project",
        location="us-central1",
        credentials=credentials,
        api_transport="rest",
        api_endpoint=url,
    )
    options = {"api_endpoint": url}
    raw = gapic.EndpointServiceClient(credentials=credentials, transport="rest", client_options=options)
    endpoint = aiplatform.Endpoint.create(display_name="the shop", endpoint_id="shop", labels={"team": "red"})
    refused = {
        "again": refusal(lambda: aiplatform.Endpoint.create(display_name="the shop", endpoint_id="shop")),
        "split": refusal(lambda: deploy(raw, endpoint, {"0": 90})),
    }
    deployed = deploy(raw, endpoint, {"0": 100})
    refused["full"] = refusal(lambda: raw.delete_endpoint(name=endpoint.resource_name, timeout=DEADLINE_S))
    listed = aiplatform.Endpoint.list(filter='display_name="the shop" AND labels.team=red')
    seen = {
        "created": endpoint.resource_name,
        "listed": [each.resource_name for each in listed],
        "deployed": [model.id for model in listed[0].list_models()],
        "traffic": dict(listed[0].traffic_split),
    }
    updated = listed[0].update(display_name="the new shop").display_name
    listed[0].undeploy(deployed_model_id=deployed)
    left = len(listed[0].list_models())
    endpoint.delete()
    gone = refusal(lambda: raw.get_endpoint(name=endpoint.resource_name, timeout=DEADLINE_S))
    return seen | {"id": deployed, "refused": refused, "updated": updated, "left": left, "gone": gone}


def deploy(raw: Api, endpoint: Api, split: dict[str, int]) -> str:
    """Deploy a model; return its id on the endpoint."""
    operation = raw.deploy_model(
        endpoint=endpoint.resource_name,
        deployed_model={"model": MODEL, "automatic_resources": {"min_replica_count": 1}},
        traffic_split=split,
        timeout=DEADLINE_S,
    )
    return str(operation.result(timeout=DEADLINE_S).deployed_model.id)


def refusal(call: Api) -> str:
    """Return the kind of error a call ends with."""
    try:
        call()
    except errors.GoogleAPICallError as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
