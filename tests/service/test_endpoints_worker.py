"""Orders to endpoints through a real broker and worker: by message, and with workers that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.crew import Crew, start_worker
from vertexq import Client
from vertexq.embedded.process import await_true
from vertexq.endpoints import OperationState
from vertexq.failpoints import Failpoint
from vertexq.names import TaskName
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.testing.simulator import running_simulator

MODEL = "projects/project/locations/us-central1/models/4711"
POINTS = [point for point in Failpoint if point.startswith("operate.")]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator whose deploys take half a second."""
    with running_simulator(timing=replace(Timing.fast(), deploy_s=0.5)) as running:
        yield running


@pytest.fixture
def environment(worker_environment: dict[str, str], simulator: Simulator) -> dict[str, str]:
    """Return the variables of workers and producers: leases of a second, looks soon after one another."""
    return worker_environment | {
        "VERTEXQ_VERTEX_ENDPOINT": simulator.url,
        "STORAGE_EMULATOR_HOST": simulator.url,
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "VERTEXQ_LEASE_S": "1",
        "VERTEXQ_HEARTBEAT_S": "0.2",
        "VERTEXQ_RESEND_AFTER_S": "0.5",
        "VERTEXQ_SETTLE_TIME_S": "1",
        "VERTEXQ_SWEEP_INTERVAL_S": "0.2",
    }


def done(crew: Crew, operation_id: str) -> bool:
    """Wait until an operation is done."""

    def is_done() -> bool:
        found = [one for one in crew.ledger.operations() if one.id == operation_id]
        return [one.state for one in found] == [OperationState.DONE]

    return await_true(is_done, timeout_s=60)


def crew_of(home: Path, environment: dict[str, str]) -> Crew:
    """Start a worker with one process, and beat beside it."""
    return start_worker(home, environment, "-c", "1", "-B", "-s", str(home / "beat"))


def test_an_order_by_message_is_carried_out(
    tmp_path: Path, environment: dict[str, str], simulator: Simulator
) -> None:
    """A producer without a ledger orders; the same message again is the same order."""
    crew = crew_of(tmp_path, environment)
    with Client(environ=environment, ledger_url="none") as producer:
        ordered = [producer.endpoints.create("shop", id="make-shop") for _ in range(2)]
        crew.hints.send_or_raise(
            TaskName.ORDER, {"id": "bad", "order": {"kind": "create", "endpoint": "Shop"}}
        )

    carried_out = done(crew, "make-shop")
    crew.close()

    assert carried_out, crew.log
    assert {one.id for one in ordered} == {"make-shop"}
    assert "cannot be the id of a new endpoint" in crew.log
    assert [one.kind for one in simulator.endpoint_operations] == ["CreateEndpoint"]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_is_killed_is_replaced(
    tmp_path: Path, environment: dict[str, str], simulator: Simulator, point: Failpoint
) -> None:
    """Wherever it dies, another one goes on, and the model is deployed once."""
    token = tmp_path / "token"
    first = crew_of(tmp_path, environment | {"VERTEXQ_FAILPOINT": f"{point}@{token}"})
    with Client(environ=environment) as client:
        made = client.endpoints.create("shop")
        assert done(first, made.id), first.log
        token.touch()
        order = client.endpoints.deploy("shop", MODEL)
        died = await_true(lambda: not token.exists(), timeout_s=30)
        first.close()
        second = crew_of(tmp_path, environment)
        deployed = done(second, order.id)
        [endpoint] = client.endpoints.list()
        second.close()

    assert died, first.log
    assert deployed, second.log
    assert [one.id for one in endpoint.deployed] == [order.deployed_model_id]
    assert [one.kind for one in simulator.endpoint_operations] == ["CreateEndpoint", "DeployModel"]
