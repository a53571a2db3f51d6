"""Cancel around the paid call: while it is being made, and while nobody knows whether the job exists."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import (
    MODEL,
    PROMPTS,
    STUCK,
    batches_of,
    breathe_until,
    results_of,
    running_jobs,
    states_of,
)
from vertexq import Outcome, SubmissionState, steps
from vertexq.ledger import Bounds, Record
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=CREATE, action=Action.DELAY, delay_s=0.3),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=5.0),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP),
        Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=0.3),
    ],
    ids=lambda fault: fault.action.value,
)
async def test_while_the_call_is_under_way(house: House, fault: Fault) -> None:
    """The job is known or found first, then stopped; there is no second one."""
    house.simulator.behaviours.set(STUCK)
    house.simulator.faults.add(fault)
    patient = house.with_options(settle_time_s=1.5)
    with patient.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await patient.until(lambda: states_of(house, submission.id)[BatchState.READY] == 1)
        (batch,) = batches_of(house, submission.id)
        sending = asyncio.create_task(steps.create(patient.services, batch.id))
        await breathe_until(lambda: not states_of(house, submission.id)[BatchState.READY])
        client.cancel(submission.id)
        await steps.cancel(patient.services, submission.id)
        await sending
        status = await patient.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert len(house.simulator.accepted) == 1
    assert await running_jobs(house) == []
    assert results_of(house, submission.id) == {Outcome.FAILED: len(PROMPTS)}


async def test_when_the_call_never_arrived(house: House) -> None:
    """Nothing turns up within the settle time: the batch is withdrawn, and never sent again."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.DROP))
    patient = house.with_options(settle_time_s=0.5)
    with patient.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await patient.until(lambda: states_of(house, submission.id)[BatchState.AMBIGUOUS] == 1)
        client.cancel(submission.id)
        status = await patient.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert house.simulator.accepted == []
    assert states_of(house, submission.id) == {BatchState.WITHDRAWN: 1}


async def test_when_the_job_is_listed_late(house: House) -> None:
    """The cancel waits until the job shows, and stops it."""
    house.simulator.behaviours.set(replace(STUCK, list_lag_s=0.5))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    patient = house.with_options(settle_time_s=2.0)
    with patient.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await patient.until(lambda: states_of(house, submission.id)[BatchState.AMBIGUOUS] == 1)
        client.cancel(submission.id)
        status = await patient.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert len(house.simulator.accepted) == 1
    assert await running_jobs(house) == []


async def test_when_the_worker_died_before_the_call(house: House) -> None:
    """The intent is there, the job is not: it is looked for, and then withdrawn."""
    ledger = house.services.ledger
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until(lambda: states_of(house, submission.id)[BatchState.READY] == 1)
        (batch,) = batches_of(house, submission.id)
        claim = ledger.claim(Record.BATCH, batch.id, owner="dead", lease_s=0.01)
        assert claim is not None
        prefix = "gs://staging/nowhere/1"
        ledger.start_sending(batch, claim=claim, output_prefix=prefix, bounds=Bounds(jobs=9))
        client.cancel(submission.id)
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert house.simulator.accepted == []
    assert states_of(house, submission.id) == {BatchState.WITHDRAWN: 1}
