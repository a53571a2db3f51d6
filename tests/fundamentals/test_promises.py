"""The promises, each with the fault that attacks it."""

from __future__ import annotations

from random import Random

import pytest

from tests.fundamentals.house import House
from vertexq import Outcome, SubmissionState
from vertexq.ledger import Record
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.faults import Action, Fault

MODEL = "gemini-2.5-flash"
CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"
PROMPTS = [f"Say {number}" for number in range(30)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=503),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=5.0),
        Fault(method=CREATE, action=Action.GARBLE),
    ],
    ids=lambda fault: fault.action.value,
)
async def test_a_job_that_was_accepted_is_never_made_twice(house: House, fault: Fault) -> None:
    """Whatever hides Google's answer, the job is found by its label and bound."""
    house.simulator.faults.add(fault)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert len(house.simulator.accepted) == 1
    assert status.counts.succeeded == len(PROMPTS)


async def test_a_job_that_was_never_made_is_sent_again_after_the_settle_time(house: House) -> None:
    """A create that never arrived is repeated, but only when nothing turned up."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.DROP))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert len(house.simulator.accepted) == 1
    assert status.counts.succeeded == len(PROMPTS)


async def test_a_refused_job_parks_the_submission_and_the_same_id_goes_on(house: House) -> None:
    """Google's own sentence reaches the person; enqueueing the same id again takes it up."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", id="one")
        parked = await house.until_rest(submission.id)
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        done = await house.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert "Google refused the job" in parked.reason
    assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))


async def test_a_parked_submission_goes_on_with_all_its_batches(house: House) -> None:
    """One refused batch stops the ones behind it; none of them is forgotten or sent twice."""
    several = house.with_options(batch_rows=10, running_jobs=1)
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", id="one")
        parked = await several.until_rest(submission.id)
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        done = await several.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert len(house.simulator.accepted) == 3


async def test_losing_every_hint_changes_nothing(house: House) -> None:
    """The sweeper alone brings a submission to its end."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.forgetful().until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)


async def test_doubled_and_shuffled_hints_change_nothing(house: House) -> None:
    """Every step may come twice and out of order."""
    with house.client() as client:
        ids = [client.submit(PROMPTS, model=MODEL, store="results").id for _ in range(3)]
        muddled = house.muddled(Random(7))
        for one in ids:
            status = await muddled.until_rest(one)

            assert status.counts.succeeded == len(PROMPTS)
            assert len(list(client.results(one))) == len(PROMPTS)
    assert len(house.simulator.accepted) == 3


async def test_every_row_is_accounted_for(house: House) -> None:
    """Rows sent are rows found, by outcome; absent rows are named in the store."""
    behaviour = Behaviour(
        bad_rows=0.1, missing_rows=0.1, blocked_rows=0.1, safety_rows=0.1, no_usage_rows=0.1
    )
    house.simulator.behaviours.set(behaviour)
    rows = [f"Say {number}" for number in range(200)]
    with house.client() as client:
        submission = client.submit(rows, model=MODEL, store="results")
        status = await house.until_rest(submission.id)
        results = list(client.results(submission.id))

    assert status.counts.total == len(rows) == len({one.key for one in results}) == len(results)
    for outcome in Outcome:
        assert getattr(status.counts, outcome) == sum(one.outcome is outcome for one in results)
    assert status.counts.missing > 0
    assert status.counts.failed > 0
    assert status.counts.blocked > 0


@pytest.mark.parametrize("echo", [Echo.NONE, Echo.COERCED])
async def test_answers_find_their_rows_when_the_key_does_not_come_back(house: House, echo: Echo) -> None:
    """The echoed request is the second way; identical requests share their answers."""
    house.simulator.behaviours.set(Behaviour(echo=echo))
    rows = [{"key": f"k{n}", "prompt": f"Say {n % 10}"} for n in range(30)]
    with house.client() as client:
        submission = client.submit(rows, model=MODEL, store="lines")
        status = await house.until_rest(submission.id)
        results = {one.key: one.text for one in client.results(submission.id)}

    assert status.counts.succeeded == len(rows)
    assert results["k3"] == results["k13"] != results["k4"]


async def test_a_job_that_fails_keeps_its_finished_rows(house: House) -> None:
    """What was answered is in the store; the rest fails with the job's own words."""
    house.simulator.behaviours.set(Behaviour(fail_code=13, fail_at=0.5, shuffle=False))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)
        failed = list(client.results(submission.id, outcomes={Outcome.FAILED}))

    assert status.state is SubmissionState.DONE
    assert status.counts.succeeded == len(PROMPTS) / 2 == len(failed)
    assert {one.error_code for one in failed} == {13}


async def test_a_cancelled_submission_keeps_its_finished_rows(slow_house: House) -> None:
    """Finished rows are paid for, so they are collected."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        client.cancel(submission.id)
        status = await slow_house.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert 0 < status.counts.succeeded < len(PROMPTS)
    assert status.counts.total == len(PROMPTS)


async def test_a_submission_cancelled_before_it_is_sent_costs_nothing(house: House) -> None:
    """No job is made for what was withdrawn."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        client.cancel(submission.id)
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert house.simulator.accepted == []


async def test_repeated_and_incremental_output_is_loaded_once(house: House) -> None:
    """Google exports copies while a job runs; every row is in the store once."""
    house.simulator.behaviours.set(Behaviour(incremental_rows=5, repeated_rows=0.3, shards=3))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="lines")
        status = await house.until_rest(submission.id)
        keys = [one.key for one in client.results(submission.id)]

    assert status.counts.succeeded == len(PROMPTS) == len(keys) == len(set(keys))


async def test_a_cut_download_is_taken_up_where_it_broke(house: House) -> None:
    """Bytes are read once, from the pinned generation, whatever the network does."""
    house.simulator.faults.add(
        Fault(
            method="storage.objects.download",
            action=Action.CUT,
            match="predictions",
            after_bytes=700,
            times=3,
        )
    )
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)


async def test_every_move_leaves_a_line_in_the_audit_trail(house: House) -> None:
    """What happened to a submission can be read back, state by state."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until_rest(submission.id)

    lines = house.services.ledger.audit(Record.SUBMISSION, submission.id)
    assert [line.to_state for line in lines] == ["queued", "staging", "running", "settling", "done"]
