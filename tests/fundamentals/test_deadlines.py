"""Deadlines: what is finished is kept, what is not is reported or run again, and no job runs on."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import (
    LONG_S,
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
from vertexq.model import GcsUri, NewSubmission, OnDeadline, Policy
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


async def test_a_late_job_is_stopped_and_its_finished_rows_are_kept(slow_house: House) -> None:
    """The rest is missing, each row with the reason; rows sent are rows accounted for."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(slow_house, submission.id)
        status = await slow_house.until_rest(submission.id)
        missing = list(client.results(submission.id, outcomes={Outcome.MISSING}))

    assert status.state is SubmissionState.DONE
    assert 0 < status.counts.succeeded < len(PROMPTS) == status.counts.total
    assert len(missing) == status.counts.missing == len(PROMPTS) - status.counts.succeeded
    assert all((one.error_message or "").startswith("the deadline of 20") for one in missing)
    assert "UTC passed" in status.reason
    assert await running_jobs(slow_house) == []


async def test_what_was_not_sent_when_the_deadline_passed_is_missing(house: House) -> None:
    """Two of three batches wait for a slot: they are withdrawn, and their rows are named in the store."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=10, running_jobs=1)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        let_deadline_pass(several, submission.id)
        status = await several.until_rest(submission.id)

    assert len(house.simulator.accepted) == 1
    assert (status.state, status.counts.missing) == (SubmissionState.FAILED, len(PROMPTS))
    assert states_of(house, submission.id)[BatchState.WITHDRAWN] == 2
    assert results_of(house, submission.id) == {Outcome.MISSING: len(PROMPTS)}
    assert await running_jobs(house) == []


@pytest.mark.parametrize("then", list(OnDeadline))
async def test_a_deadline_that_passed_in_the_queue(house: House, then: OnDeadline) -> None:
    """Nothing is sent and each row is accounted for; rows that are to run again do so in a new round."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        let_deadline_pass(house, submission.id, then)
        status = await house.until_rest(submission.id)

    again = then is OnDeadline.RERUN
    assert len(house.simulator.accepted) == again
    assert (status.counts.succeeded, status.counts.missing) == (
        (len(PROMPTS), 0) if again else (0, len(PROMPTS))
    )
    assert submission_of(house, submission.id).rounds == again


async def test_rows_without_an_answer_run_again(slow_house: House) -> None:
    """They go into a new batch with a new deadline; in the end each row has succeeded once."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(slow_house, submission.id, OnDeadline.RERUN)
        status = await slow_house.until_rest(submission.id)
        texts = {one.key: one.text for one in client.results(submission.id)}

    first, second = batches_of(slow_house, submission.id)
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert (first.successor, first.counts.succeeded + second.rows) == (second.id, len(PROMPTS))
    assert len(slow_house.simulator.accepted) == 2
    assert len({texts[str(number)] for number in range(len(PROMPTS))}) == len(PROMPTS)
    assert submission_of(slow_house, submission.id).deadline_at is not None


async def test_after_three_rounds_the_rest_is_reported(house: House) -> None:
    """What never finishes costs a job a round, and then says so."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        let_deadline_pass(house, submission.id, OnDeadline.RERUN, again_s=0.5)
        status = await house.until_rest(submission.id)

    assert (status.state, status.counts.missing) == (SubmissionState.FAILED, len(PROMPTS))
    assert submission_of(house, submission.id).rounds == 3
    assert len(house.simulator.accepted) == len(batches_of(house, submission.id)) == 3
    assert results_of(house, submission.id) == {Outcome.MISSING: len(PROMPTS)}
    assert await running_jobs(house) == []


async def test_only_the_batches_that_were_cut_run_again(house: House) -> None:
    """Three batches, one of them stuck: its rows run again, the others are not paid for twice."""
    several = house.with_options(batch_rows=10)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: len(batches_of(house, submission.id)) == 3)
        stuck = batches_of(house, submission.id)[1].id
        house.simulator.behaviours.set(STUCK, match=stuck)
        await several.until(lambda: states_of(house, submission.id)[BatchState.INGESTED] == 2)
        let_deadline_pass(several, submission.id, OnDeadline.RERUN)
        status = await several.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS) == results_of(house, submission.id).total()
    assert len(house.simulator.accepted) == 4
    assert [bool(batch.successor) for batch in batches_of(house, submission.id)] == [
        False,
        True,
        False,
        False,
    ]


async def test_a_deadline_while_nobody_knows_whether_the_job_exists(house: House) -> None:
    """The job is found first, then stopped: none runs on, none is made twice."""
    house.simulator.behaviours.set(replace(STUCK, list_lag_s=0.3))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    patient = house.with_options(settle_time_s=2.0)
    with patient.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await patient.until(lambda: states_of(house, submission.id)[BatchState.AMBIGUOUS] == 1)
        let_deadline_pass(patient, submission.id)
        status = await patient.until_rest(submission.id)

    assert len(house.simulator.accepted) == 1
    assert status.counts.missing == len(PROMPTS)
    assert await running_jobs(house) == []


async def test_a_job_that_is_faster_than_its_cancel_has_its_rows_kept(slow_house: House) -> None:
    """Google may end a cancelled job in success."""
    slow_house.simulator.behaviours.set(Behaviour(cancel_loses=True))
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(slow_house, submission.id, OnDeadline.RERUN)
        status = await slow_house.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)
    assert len(slow_house.simulator.accepted) == 1


async def test_losing_every_hint_does_not_stop_a_deadline(slow_house: House) -> None:
    """The sweeper alone sees to it."""
    forgetful = slow_house.forgetful()
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await forgetful.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(forgetful, submission.id, OnDeadline.RERUN)
        status = await forgetful.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)
    assert len(slow_house.simulator.accepted) == 2


async def test_a_rerun_that_broke_off_goes_on_where_it_stopped(house: House) -> None:
    """The second of two batches cannot be staged again at first: neither gets a second successor."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=15)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await several.until(lambda: states_of(house, "one")[BatchState.BOUND] == 2)
        let_deadline_pass(several, "one", OnDeadline.RERUN)
        fault = Fault(
            method="storage.objects.insert", action=Action.REFUSE, status=403, match="00003/manifest"
        )
        house.simulator.faults.add(fault)
        parked = await several.until_rest(submission.id)
        house.simulator.behaviours.clear()
        house.services.ledger.enqueue(_same(several, "one"))
        status = await several.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert len(house.simulator.accepted) == len(batches_of(house, "one")) == 4


async def test_a_parked_submission_ends_with_its_deadline(house: House) -> None:
    """One batch was refused, one runs: at the deadline it is settled, and every row says why."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=15)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
        parked = await several.until_rest(submission.id)
        let_deadline_pass(several, submission.id)
        await several.until(lambda: client.get(submission.id).ended)
        status = client.get(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert (status.counts.failed, status.counts.missing) == (15, 15)
    assert await running_jobs(house) == []


async def test_a_parked_submission_whose_rows_are_to_run_again_stays_parked(house: House) -> None:
    """A person must decide; what runs is stopped at the deadline, and runs again when it goes on."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=15)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await several.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
        await several.until_rest(submission.id)
        let_deadline_pass(several, "one", OnDeadline.RERUN)
        await several.until(lambda: states_of(house, "one")[BatchState.INGESTED] == 1)
        parked = client.get("one")
        house.simulator.behaviours.clear()
        house.services.ledger.enqueue(_same(several, "one"))
        status = await several.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert status.counts.succeeded == len(PROMPTS)
    assert len(house.simulator.accepted) == 3


def _same(house: House, submission_id: str) -> NewSubmission:
    """Return what was enqueued, to be enqueued again."""
    known = submission_of(house, submission_id)
    names = [field.name for field in fields(NewSubmission)]
    return NewSubmission(**{name: getattr(known, name) for name in names})


async def test_a_deadline_that_never_comes_changes_nothing(house: House) -> None:
    """What is done in time is done."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        ledger = house.services.ledger
        known = ledger.submission(submission.id)
        at = known.created_at.replace(year=known.created_at.year + 1)
        terms = replace(known.terms, deadline_s=LONG_S)
        ledger.update_submission(known, terms=terms, deadline_at=at, next_action_at=known.next_action_at)
        status = await house.until_rest(submission.id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert submission_of(house, submission.id).rounds == 0


async def test_the_client_sets_a_deadline(slow_house: House) -> None:
    """Half a second for 30 rows at 20 a second: it is stopped in time, and every row is accounted for."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", deadline=0.5)
        status = await slow_house.until_rest(submission.id)

    assert status.ended
    assert 0 < status.counts.missing <= status.counts.total == len(PROMPTS)
    assert await running_jobs(slow_house) == []


async def test_rows_that_were_set_aside_end_as_failed_and_are_never_run_again(house: House) -> None:
    """They were judged before anything was sent; a round more changes nothing about them."""
    house.simulator.behaviours.set(STUCK)
    rows = [{"key": f"k{n}", "prompt": f"Say {n}"} for n in range(9)]
    with house.client() as client:
        submission = client.submit(
            [*rows, {"key": "bad", "contents": "no list"}],
            model=MODEL,
            store="results",
            policy=Policy(set_aside=True),
        )
        await house.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        let_deadline_pass(house, submission.id, OnDeadline.RERUN)
        await house.until(lambda: submission_of(house, submission.id).rounds == 1)
        house.simulator.behaviours.clear()
        status = await house.until_rest(submission.id)
        (failed,) = client.results(submission.id, outcomes={Outcome.FAILED})

    assert (status.counts.succeeded, status.counts.failed, status.counts.total) == (9, 1, 10)
    assert failed.key == "bad"
    assert failed.error_message
    assert states_of(house, submission.id)[BatchState.ASIDE] == 1


async def test_an_object_that_is_used_as_it_is_runs_again(house: House) -> None:
    """The rest is written anew under our own keys; every answer finds its row."""
    house.simulator.behaviours.set(STUCK)
    lines = [json.dumps({"id": f"k{n}", "request": _request(n)}) for n in range(9)]
    uri = GcsUri(bucket="staging", name="mine/prompts.jsonl")
    await house.services.storage.upload(uri, "\n".join(lines).encode())
    with house.client() as client:
        submission = client.submit(
            str(uri), model=MODEL, store="results", key="id", policy=Policy(as_is=True)
        )
        await house.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        let_deadline_pass(house, submission.id, OnDeadline.RERUN)
        await house.until(lambda: submission_of(house, submission.id).rounds == 1)
        house.simulator.behaviours.clear()
        status = await house.until_rest(submission.id)
        keys = {one.key for one in client.results(submission.id)}

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 9)
    assert keys == {f"k{n}" for n in range(9)}


def _request(number: int) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": f"Say {number}"}]}]}
