"""Cancels that come while nobody knows whether there is a job, and bounds that hold a batch back."""

from __future__ import annotations

from dataclasses import replace

from tests.fundamentals.creating import (
    CREATE,
    ID,
    PROMPTS,
    enqueue,
    left_sending,
    moves,
    post_behind_our_back,
    the_batch,
    until_state,
)
from tests.fundamentals.house import House
from vertexq import SubmissionState, steps
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState, JobState


async def test_a_job_found_after_a_cancel_is_cancelled_and_its_finished_rows_are_kept(house: House) -> None:
    """The worker died while sending, then came the cancel: the job is found, stopped, and accounted for."""
    house.simulator.behaviours.set(Behaviour(timing=replace(Timing.fast(), rows_per_s=2.0)))
    job = await post_behind_our_back(house, await left_sending(house))
    await rows_answered(house, job.name)
    cancel(house)
    status = await house.until_rest("one")

    assert status.state is SubmissionState.CANCELLED
    assert (await house.services.vertex.get(job.name)).state_text == "JOB_STATE_CANCELLED"
    assert 0 < status.counts.succeeded < status.counts.total == len(PROMPTS)


async def test_a_cancel_while_no_job_turns_up_withdraws_after_the_settle_time(house: House) -> None:
    """The looks go on, nothing is sent again, and the submission comes to its end."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.DROP))
    enqueue(house)
    await until_state(house.with_options(settle_time_s=20.0), BatchState.AMBIGUOUS)
    cancel(house)
    status = await house.until_rest("one")

    assert status.state is SubmissionState.CANCELLED
    assert moves(house)[-1] == "withdrawn"
    assert len(house.simulator.faults.log(CREATE)) == 1


async def test_a_job_that_a_429_hid_is_stopped_although_the_list_shows_it_late(house: House) -> None:
    """A cancel waits until Google's list has had its time: no job may run on that nobody knows of."""
    patient = house.with_options(settle_time_s=6.0)
    house.simulator.behaviours.set(Behaviour(list_lag_s=0.1, stuck_state=JobState.QUEUED))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=429))
    enqueue(patient)
    await until_state(patient, BatchState.READY, attempt=1)
    cancel(patient)
    status = await patient.until_rest(ID)

    (job,) = [job async for job in house.services.vertex.list("demo", "us-central1")]
    assert (status.state, job.state) == (SubmissionState.CANCELLED, JobState.CANCELLED)
    assert len(house.simulator.accepted) == 1


async def test_a_cancel_while_the_call_is_under_way_stops_the_job_that_it_makes(house: House) -> None:
    """The answer comes after the cancel: the job is bound, and asked to stop at once."""
    house.simulator.behaviours.set(Behaviour(timing=replace(Timing.fast(), pending_s=30.0)))
    sending = await left_sending(house)
    cancel(house)
    await steps.cancel(house.services, "one")
    await post_behind_our_back(house, sending)
    status = await house.until_rest("one")

    assert status.state is SubmissionState.CANCELLED
    assert the_batch(house).job_state == "JOB_STATE_CANCELLED"
    assert len(house.simulator.accepted) == 1


async def test_a_batch_over_its_budget_parks_before_it_is_sent(house: House) -> None:
    """Money that is not allowed is not spent; the reason says the bound."""
    enqueue(house)
    await until_state(house, BatchState.READY)
    capped = replace(
        house, services=replace(house.services, options=replace(house.services.options, daily_cap_pusd=-1))
    )
    status = await capped.until_rest("one")

    assert status.state is SubmissionState.PARKED
    assert status.reason
    assert house.simulator.accepted == []


async def rows_answered(house: House, job_name: str) -> None:
    """Wait until a job of the simulator has answered a row."""
    while not (await house.services.vertex.get(job_name)).stats.successful:
        pass


def cancel(house: House) -> None:
    """Ask for the submission to be stopped."""
    with house.client() as client:
        client.cancel("one")
