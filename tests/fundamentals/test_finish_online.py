"""Finish online: the last few rows of a submission are answered one by one instead of by another job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import MODEL, PROMPTS, check_sums, until_first_round
from tests.fundamentals.stopping_house import STUCK, batches_of, let_deadline_pass, states_of, submission_of
from vertexq import SubmissionState
from vertexq.model import OnDeadline
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState, JobState

FEW = Behaviour(quota_rows=0.2, missing_rows=0.1)
GENERATE = "*.generateContent"


def online_prompts(house: House) -> int:
    """Return how many online calls were paid for."""
    return len(house.simulator.online_calls)


async def test_the_last_rows_are_answered_online(house: House) -> None:
    """Turned away or left out by their job they need no other one; each row counts and costs once."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await house.until_rest("one")
        results = list(client.results("one"))

    job, online = batches_of(house, "one")
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert (online.online, online.round, status.online_rows) == (True, 1, online.rows)
    assert online_prompts(house) == online.rows == len(PROMPTS) - job.counts.succeeded
    assert [batch.state for batch in (job, online)] == [BatchState.INGESTED] * 2
    assert len(house.simulator.accepted) == 1
    assert {one.attempt for one in results} == {1, 2}
    check_sums(house, "one")


async def test_online_rows_cost_the_online_price(house: House) -> None:
    """Twice that of a batch, in the row, the batch and the submission."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await house.until_rest("one")
        online = [one for one in client.results("one") if one.attempt == 2]

    for one in online:
        tokens = (one.prompt_tokens or 0, (one.output_tokens or 0) + (one.thoughts_tokens or 0))
        assert one.cost_usd == pytest.approx(tokens[0] * 0.30e-6 + tokens[1] * 2.50e-6)
    assert status.cost_usd == pytest.approx(sum(batch.cost_pusd for batch in batches_of(house, "one")) / 1e12)


async def test_too_many_rows_get_another_job(house: House) -> None:
    """Only when fewer than so many are left they go online."""
    patient = house.with_options(retry_rounds=1, retry_wait_s=0.02)
    patient.simulator.behaviours.set(Behaviour(quota_rows=0.5))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=2)
        await until_first_round(patient, "one")
        patient.simulator.behaviours.clear()
        status = await patient.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    assert (status.online_rows, online_prompts(patient)) == (0, 0)
    assert len(patient.simulator.accepted) == 2
    check_sums(patient, "one")


async def test_no_slot_is_taken(house: House) -> None:
    """While all jobs that may run are stuck, the last rows of another submission are answered."""
    full = house.with_options(running_jobs=1)
    full.simulator.behaviours.set(FEW)
    with full.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await until_first_round(full, "one")
        full.simulator.behaviours.set(STUCK)
        client.submit(["a"], model=MODEL, store="results", id="stuck")
        status = await full.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    assert status.online_rows > 0


@pytest.mark.parametrize("then", list(OnDeadline))
async def test_what_a_deadline_leaves_is_answered_online(house: House, then: OnDeadline) -> None:
    """Reported or run again: few rows of a stopped job need neither."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=100)
        await house.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        terms = submission_of(house, "one").terms
        let_deadline_pass(house, "one", then)
        assert terms.finish_online == 100
        status = await house.until_rest("one")

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert status.online_rows == online_prompts(house) == len(PROMPTS)
    assert len(house.simulator.accepted) == 1
    check_sums(house, "one")


@pytest.mark.parametrize("then", list(OnDeadline))
async def test_batches_that_were_never_sent_go_online_after_a_deadline(
    house: House, then: OnDeadline
) -> None:
    """One job is stuck, the other batch waits for its slot."""
    full = house.with_options(running_jobs=1, batch_rows=15)
    full.simulator.behaviours.set(STUCK)
    with full.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=100)
        await full.until(lambda: states_of(full, "one")[BatchState.BOUND] == 1)
        let_deadline_pass(full, "one", then)
        status = await full.until_rest("one")

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert len(full.simulator.accepted) == 1
    check_sums(full, "one")


async def test_a_row_that_cannot_be_answered_fails_with_googles_words(house: House) -> None:
    """A refusal is final; the others have their answers."""
    house.simulator.behaviours.set(FEW)
    house.simulator.behaviours.set(Behaviour(bad_rows=0.3), match="online")
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await house.until_rest("one")
        failed = [one for one in client.results("one") if one.outcome == "failed"]

    assert status.counts.failed == len(failed) > 0
    assert {one.error_code for one in failed} == {400}
    assert all("valid role" in (one.error_message or "") for one in failed)
    check_sums(house, "one")


async def test_what_never_passes_has_failed_after_three_passes(house: House) -> None:
    """A row goes online in one batch only, and no other round follows."""
    quick = house.with_options(retry_rounds=2, retry_wait_s=0.02)
    options = replace(quick.services.options, backoff=replace(quick.services.options.backoff, first_s=0.01))
    quick = replace(quick, services=replace(quick.services, options=options))
    quick.simulator.behaviours.set(FEW)
    quick.simulator.behaviours.set(Behaviour(quota_rows=1.0), match="online")
    with quick.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await quick.until_rest("one")
        failed = [one for one in client.results("one") if one.outcome == "failed"]

    assert len(batches_of(quick, "one")) == 2
    assert status.counts.failed == len(failed) == batches_of(quick, "one")[1].rows
    assert all("quota exceeded" in (one.error_message or "") for one in failed)
    check_sums(quick, "one")


async def test_a_model_that_nobody_may_ask_parks(house: House) -> None:
    """Nothing was answered, so a person decides; enqueued again it goes on."""
    house.simulator.behaviours.set(FEW)
    house.simulator.faults.add(Fault(method=GENERATE, action=Action.REFUSE, status=404, times=None))
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        parked = await house.until_rest("one")
        house.simulator.faults.clear()
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await house.until_rest("one")

    assert parked.state is SubmissionState.PARKED
    assert "404" in parked.reason
    assert status.counts.succeeded == len(PROMPTS)
    check_sums(house, "one")


async def test_a_cancel_keeps_what_was_answered(house: House) -> None:
    """Between two parts it stops; the rest stays as it was."""
    small = house.with_options(online_part_rows=3, slice_s=0.0)
    small.simulator.behaviours.set(FEW)
    with small.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await small.until(lambda: online_prompts(small) == 3)
        client.cancel("one")
        status = await small.until_rest("one")

    assert status.state is SubmissionState.CANCELLED
    assert status.counts.total == len(PROMPTS)
    assert status.online_rows == 3
    assert batches_of(small, "one")[1].job_state == JobState.CANCELLED
    check_sums(small, "one")


async def test_a_budget_holds_for_online_rows(house: House) -> None:
    """What they may cost at the online price is more than is left: they end as they are, and why is said."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20, budget_usd=1)
        await house.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        known = submission_of(house, "one")
        terms = replace(known.terms, budget_pusd=1)
        house.services.ledger.update_submission(known, terms=terms, next_action_at=known.next_action_at)
        status = await house.until_rest("one")

    left = len(PROMPTS) - status.counts.succeeded
    assert status.reason == f"{left} rows were not tried again, as the budget does not allow it"
    assert online_prompts(house) == 0
    check_sums(house, "one")


async def test_a_daily_cap_holds_for_online_rows(house: House) -> None:
    """They park like a job that the cap does not allow, and go on when it does."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await house.until(lambda: any(batch.online for batch in batches_of(house, "one")))
        options = replace(house.services.options, daily_cap_pusd=1)
        capped = replace(house, services=replace(house.services, options=options))
        parked = await capped.until_rest("one")
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        status = await house.until_rest("one")

    assert parked.state is SubmissionState.PARKED
    assert "daily cap" in parked.reason
    assert status.counts.succeeded == len(PROMPTS)
    check_sums(house, "one")
