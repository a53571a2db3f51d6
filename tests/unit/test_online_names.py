"""Which endpoint may be asked for rows of a tuned model: one that serves this model and no other."""

from __future__ import annotations

import pytest

from vertexq.endpoints import DeployedModel, Endpoint
from vertexq.steps.online_names import serves_only

HERE = "projects/123/locations/us-central1/models"
MODEL = "projects/demo/locations/us-central1/models/17"


def endpoint(traffic: dict[str, int], *models: tuple[str, str]) -> Endpoint:
    """Return an endpoint with models, numbered from 1, each a name and a version."""
    deployed = tuple(
        DeployedModel(id=str(number), model=f"{HERE}/{name}", model_version=version)
        for number, (name, version) in enumerate(models, start=1)
    )
    return Endpoint(name="e", display_name="e", deployed=deployed, traffic=traffic)


@pytest.mark.parametrize(
    ("model", "there", "fits"),
    [
        (MODEL, endpoint({"1": 100}, ("17", "1")), True),
        (MODEL, endpoint({}, ("17", "1")), True),
        (MODEL, endpoint({}), False),
        (MODEL, endpoint({"1": 100}, ("18", "1")), False),
        (MODEL, endpoint({"1": 100}, ("17", "1"), ("18", "1")), True),
        (MODEL, endpoint({"2": 100}, ("17", "1"), ("18", "1")), False),
        (MODEL, endpoint({"1": 99, "2": 1}, ("17", "1"), ("18", "1")), False),
        (MODEL, endpoint({"1": 50, "2": 50}, ("17", "1"), ("17", "2")), True),
        (f"{MODEL}@2", endpoint({"1": 50, "2": 50}, ("17", "1"), ("17", "2")), False),
        (f"{MODEL}@2", endpoint({"1": 100}, ("17", "2")), True),
        (f"{MODEL}@2", endpoint({"1": 100}, ("17@1", "")), False),
        (f"{MODEL}@golden", endpoint({"1": 100}, ("17", "2")), True),
    ],
)
def test_all_requests_must_go_to_the_model(model: str, there: Endpoint, *, fits: bool) -> None:
    """What has no traffic does not matter; versions do where both are numbers, as an alias may be any."""
    assert serves_only(there, model) is fits
