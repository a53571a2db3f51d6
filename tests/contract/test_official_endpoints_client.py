"""google-cloud-aiplatform finds in simulated endpoints what it expects of Google's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.contract.discovery_schemas import exchange_faults
from tests.contract.recording_proxy import recording
from vertexq.simulator.timing import Timing
from vertexq.testing.simulator import running_simulator

ROOT = Path(__file__).parents[2]


def test_aiplatform_sees_an_endpoint_through_its_life() -> None:
    """Over REST: create with an id, list, deploy, update, undeploy, delete; refusals; all as documented."""
    python = ROOT / ".venv-aiplatform" / "bin" / "python"
    assert python.exists(), "google-cloud-aiplatform has no environment yet: run `make aiplatform` first"
    driver = ROOT / "tests" / "contract" / "aiplatform_endpoints_driver.py"

    with running_simulator(timing=Timing.fast()) as simulator, recording(simulator.url) as proxy:
        run = subprocess.run(
            [str(python), str(driver), proxy.url], check=False, capture_output=True, text=True, timeout=100
        )
        kinds = [one.kind for one in simulator.endpoint_operations]

    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])  # the package says things before
    assert seen["listed"] == [seen["created"]]
    assert (seen["deployed"], seen["traffic"]) == ([seen["id"]], {seen["id"]: 100})
    assert (seen["updated"], seen["left"], seen["gone"]) == ("the new shop", 0, "NotFound")
    assert seen["refused"] == {"again": "Conflict", "split": "BadRequest", "full": "BadRequest"}
    assert kinds == ["CreateEndpoint", "DeployModel", "UndeployModel", "Delete"]
    assert [fault for exchange in proxy.exchanges for fault in exchange_faults(exchange)] == []
