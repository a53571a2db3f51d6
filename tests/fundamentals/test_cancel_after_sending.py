"""Cancel when jobs exist: finished rows are kept and paid for, and no job runs on."""

from __future__ import annotations

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import (
    MODEL,
    PROMPTS,
    STUCK,
    batches_of,
    let_deadline_pass,
    results_of,
    running_jobs,
    states_of,
    submission_of,
)
from vertexq import Outcome, SubmissionState
from vertexq.model import OnDeadline
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

CANCEL = "aiplatform.projects.locations.batchPredictionJobs.cancel"
CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


async def test_twice_while_it_runs(slow_house: House) -> None:
    """Rows that were finished are in the store with their price; the others say why they are not."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        client.cancel(submission.id)
        assert client.cancel(submission.id).state is SubmissionState.CANCELLING
        status = await slow_house.until_rest(submission.id)
        failed = list(client.results(submission.id, outcomes={Outcome.FAILED}))

    assert status.state is SubmissionState.CANCELLED
    assert 0 < status.counts.succeeded < len(PROMPTS) == status.counts.total
    assert submission_of(slow_house, submission.id).cost_pusd > 0
    assert len(failed) == status.counts.failed
    assert {one.error_message for one in failed} == {"CANCELED"}
    assert await running_jobs(slow_house) == []


async def test_while_the_job_waits_at_google(house: House) -> None:
    """A job that has not begun stops at once, and costs nothing."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        client.cancel(submission.id)
        status = await house.until_rest(submission.id)

    assert (status.state, status.counts.failed) == (SubmissionState.CANCELLED, len(PROMPTS))
    assert submission_of(house, submission.id).cost_pusd == 0
    assert await running_jobs(house) == []


async def test_a_cancel_that_loses_the_race(slow_house: House) -> None:
    """Google may finish the job all the same: every row is kept."""
    slow_house.simulator.behaviours.set(Behaviour(cancel_loses=True))
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        client.cancel(submission.id)
        status = await slow_house.until_rest(submission.id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.CANCELLED, len(PROMPTS))


async def test_while_answers_are_being_read(house: House) -> None:
    """The job is over: the cancel waits until all its rows are in the store."""
    sliced = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
    with sliced.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await sliced.until(lambda: states_of(house, submission.id)[BatchState.ENDED] == 1)
        client.cancel(submission.id)
        status = await sliced.until_rest(submission.id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.CANCELLED, len(PROMPTS))
    assert results_of(house, submission.id) == {Outcome.SUCCEEDED: len(PROMPTS)}


async def test_while_it_settles(house: House) -> None:
    """Nothing is left to stop: the cancel is noted, and the submission ends as it would have."""
    ledger = house.services.ledger
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until(
            lambda: ledger.settle_ready(submission.id) and bool(batches_of(house, submission.id))
        )
        settling = ledger.move_submission(
            ledger.submission(submission.id), SubmissionState.SETTLING, next_action_at=ledger.now()
        )
        noted = client.cancel(submission.id)
        status = await house.until_rest(submission.id)

    assert noted.state is settling.state
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))


async def test_after_the_end(house: House) -> None:
    """The answer is how it ended; nothing changes."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        done = await house.until_rest(submission.id)

        assert client.cancel(submission.id) == done
        assert client.get(submission.id) == done
    assert not submission_of(house, submission.id).cancel_requested


async def test_while_parked_with_a_job_that_runs(house: House) -> None:
    """One batch was refused, one runs: the latter is stopped."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=15)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
        parked = await several.until_rest(submission.id)
        client.cancel(submission.id)
        status = await several.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert (status.state, status.counts.failed) == (SubmissionState.CANCELLED, len(PROMPTS))
    assert await running_jobs(house) == []


async def test_one_cancel_that_google_refuses_keeps_no_other_job_running(house: House) -> None:
    """Whatever goes wrong with one batch, the others are stopped, and it is tried again."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=10)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 3)
        house.simulator.faults.add(Fault(method=CANCEL, action=Action.REFUSE, status=429, times=6))
        house.simulator.faults.add(Fault(method=CANCEL, action=Action.REFUSE, status=404))
        client.cancel(submission.id)
        status = await several.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert await running_jobs(house) == []


async def test_with_a_successor_that_was_not_sent(slow_house: House) -> None:
    """Rows of a first round that were handed over and never sent again are missing; none vanishes."""
    one_slot = slow_house.with_options(running_jobs=1)
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await one_slot.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(one_slot, submission.id, OnDeadline.RERUN)
        await one_slot.until(lambda: len(batches_of(one_slot, submission.id)) == 2)
        client.cancel(submission.id)
        sent = len(slow_house.simulator.accepted)
        status = await one_slot.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert len(slow_house.simulator.accepted) == sent
    assert status.counts.total == len(PROMPTS) == results_of(slow_house, submission.id).total()
    assert await running_jobs(slow_house) == []


async def test_with_a_successor_that_runs(slow_house: House) -> None:
    """It is stopped like the first."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(slow_house, submission.id, OnDeadline.RERUN)
        await slow_house.until(lambda: states_of(slow_house, submission.id)[BatchState.BOUND] == 1)
        await slow_house.until(lambda: len(batches_of(slow_house, submission.id)) == 2)
        await slow_house.until(lambda: batches_of(slow_house, submission.id)[1].state is BatchState.BOUND)
        client.cancel(submission.id)
        status = await slow_house.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert status.counts.total == len(PROMPTS) == results_of(slow_house, submission.id).total()
    assert await running_jobs(slow_house) == []
