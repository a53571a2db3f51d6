"""Whatever a simulated job is told to do, every answer on its way is what Google's document describes."""

from __future__ import annotations

import json

import pytest

from tests.contract.discovery_schemas import exchange_faults
from tests.contract.recording_proxy import Exchange
from tests.contract.simulated_jobs import JOBS, Desk, body, desk, keyed, state_of
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.exchanges import Exchange as Recorded
from vertexq.simulator.faults import Action, Fault
from vertexq.states import JobState

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


def faults_of(recorded: Recorded) -> list[str]:
    """Return how one request or its answer differs from the document."""
    exchange = Exchange(
        verb=recorded.verb,
        path=recorded.path,
        query=dict(recorded.query),
        sent=json.loads(recorded.request) if recorded.request else None,
        status=recorded.status,
        said=json.loads(recorded.response),
    )
    return exchange_faults(exchange)


async def cancelled(made: Desk, state: str) -> None:
    """Create a job, wait until it is in ``state``, and cancel it."""
    job = await made.create()
    await made.when(job["name"], lambda job: state_of(job) == state)
    await made.call("POST", f"/v1/{job['name']}:cancel", json={})
    await made.ended(job["name"])


@pytest.mark.parametrize("state", ["PENDING", "QUEUED", "RUNNING", "PAUSED", "UPDATING"])
async def test_a_cancel_in_any_state_is_described(state: str) -> None:
    """From the create to the end, whatever state the job was in when it was cancelled."""
    stuck = Behaviour(stuck_state=JobState(f"JOB_STATE_{state}"), incomplete_unknown=True)
    async with desk(rows=keyed(5), behaviour=stuck, record_exchanges=True) as made:
        await cancelled(made, state)

        found = [fault for exchange in made.simulator.exchanges for fault in faults_of(exchange)]

    assert made.simulator.exchanges
    assert found == []


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(quota_rows=0.5, echo=Echo.NONE, shards=2, incremental_rows=2),
        Behaviour(fail_code=13, fail_at=1),
        Behaviour(export_denied=True, late_output_info=True),
        Behaviour(expires=True),
    ],
)
async def test_every_end_is_described(behaviour: Behaviour) -> None:
    """Also the list of such jobs and their delete."""
    async with desk(rows=keyed(5), behaviour=behaviour, record_exchanges=True) as made:
        job = await made.ran(labels={"team": "red"})
        await made.call("GET", JOBS, params={"pageSize": "1"})
        _, begun = await made.call("DELETE", f"/v1/{job['name']}")
        await made.call("GET", f"/v1/{begun['name']}")

        found = [fault for exchange in made.simulator.exchanges for fault in faults_of(exchange)]

    assert found == []


@pytest.mark.parametrize("note", ["", "retry-info", "both"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504])
async def test_an_armed_refusal_has_googles_envelope(status: int, note: str) -> None:
    """Its code is the HTTP status and it has a status word."""
    fault = Fault(method=CREATE, action=Action.REFUSE, status=status, retry_after_s=1, note=note)
    async with desk(record_exchanges=True) as made:
        made.simulator.faults.add(fault)

        await made.call("POST", JOBS, json=body())

        (exchange,) = made.simulator.exchanges

    assert faults_of(exchange) == []


async def test_nothing_is_recorded_unasked() -> None:
    """A long-running simulator keeps no bodies."""
    async with desk(rows=keyed(1)) as made:
        await made.create()

        assert made.simulator.exchanges == []
