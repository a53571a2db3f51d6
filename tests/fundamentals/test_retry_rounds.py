"""Rounds: rows without an answer, or with an error that may pass, are tried again by themselves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import (
    MODEL,
    PROMPTS,
    check_sums,
    until_first_round,
)
from tests.fundamentals.stopping_house import (
    batches_of,
    breathe_until,
    let_deadline_pass,
    states_of,
    submission_of,
)
from vertexq import Outcome, Policy, SubmissionState, steps
from vertexq.model import GcsUri, OnDeadline
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

OFTEN_429 = Behaviour(quota_rows=0.3)


@pytest.fixture
def patient(house: House) -> House:
    """Return a house that tries rows again, twice, after milliseconds."""
    return house.with_options(retry_rounds=2, retry_wait_s=0.02)


async def test_what_was_turned_away_succeeds_in_the_second_round(patient: House) -> None:
    """A third of the rows gets a 429; they go into one new batch, and every row has its answer once."""
    patient.simulator.behaviours.set(OFTEN_429)
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(patient, "one")
        patient.simulator.behaviours.clear()
        status = await patient.until_rest("one")
        attempts = {one.key: one.attempt for one in client.results("one")}

    first, second = batches_of(patient, "one")
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert (first.successor, second.round) == (second.id, 1)
    assert first.counts.succeeded + second.counts.succeeded == len(PROMPTS)
    assert sorted(attempts.values()) == [1] * first.counts.succeeded + [2] * second.rows
    check_sums(patient, "one")


@pytest.mark.parametrize("store", ["lines", "duck", "parquet"])
async def test_rounds_land_in_every_kind_of_store(patient: House, store: str) -> None:
    """A third is turned away twice: what the store holds is the account, each key once."""
    patient.simulator.behaviours.set(Behaviour(quota_rows=0.3, missing_rows=0.2, blocked_rows=0.2))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store=store, id="one")
        await patient.until_rest("one")

    assert len(batches_of(patient, "one")) == 3
    check_sums(patient, "one")


async def test_what_is_always_turned_away_has_failed_after_the_last_round(patient: House) -> None:
    """Two rounds, no more; each row keeps Google's own message."""
    patient.simulator.behaviours.set(Behaviour(quota_rows=1.0))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await patient.until_rest("one")
        results = list(client.results("one"))

    assert (status.state, status.counts.failed) == (SubmissionState.FAILED, len(PROMPTS))
    assert [batch.round for batch in batches_of(patient, "one")] == [0, 1, 2]
    assert {one.error_code for one in results} == {429}
    assert all("quota exceeded" in (one.error_message or "") for one in results)
    assert len(patient.simulator.accepted) == 3
    check_sums(patient, "one")


async def test_rows_that_were_left_out_come_in_another_round(patient: House) -> None:
    """Nothing is written about them before; in the end nothing is missing."""
    patient.simulator.behaviours.set(Behaviour(missing_rows=0.4))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="lines", id="one")
        await until_first_round(patient, "one")
        patient.simulator.behaviours.clear()
        status = await patient.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    assert batches_of(patient, "one")[1].rows > 0
    check_sums(patient, "one")


async def test_rows_that_cannot_be_answered_are_not_tried_again(patient: House) -> None:
    """A 400 will be a 400 tomorrow, and a block is an answer."""
    patient.simulator.behaviours.set(Behaviour(bad_rows=0.3, blocked_rows=0.3))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await patient.until_rest("one")

    assert status.counts.failed > 0
    assert status.counts.blocked > 0
    assert len(batches_of(patient, "one")) == 1
    check_sums(patient, "one")


@pytest.mark.parametrize(("code", "rounds"), [(13, 1), (8, 1), (3, 0), (7, 0)])
async def test_a_job_that_failed_is_tried_again_when_its_code_may_pass(
    patient: House, code: int, rounds: int
) -> None:
    """Half of its rows are there; the rest goes again, unless the next job would fail in the same way."""
    patient.simulator.behaviours.set(Behaviour(fail_code=code, fail_at=0.5, shuffle=False))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await patient.until(lambda: states_of(patient, "one")[BatchState.INGESTED] == 1)
        patient.simulator.behaviours.clear()
        status = await patient.until_rest("one")

    assert len(batches_of(patient, "one")) == 1 + rounds
    assert status.counts.succeeded == (len(PROMPTS) if rounds else len(PROMPTS) // 2)
    check_sums(patient, "one")


async def test_an_expired_job_is_tried_again(patient: House) -> None:
    """Nobody wanted its end."""
    patient.simulator.behaviours.set(Behaviour(expires=True))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(patient, "one")
        patient.simulator.behaviours.clear()
        status = await patient.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    check_sums(patient, "one")


async def test_a_row_that_never_comes_back_keeps_the_failure_it_had(patient: House) -> None:
    """The second and third job leave everything out: the 429s of the first stand."""
    patient.simulator.behaviours.set(OFTEN_429)
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(patient, "one")
        patient.simulator.behaviours.set(Behaviour(missing_rows=1.0))
        status = await patient.until_rest("one")
        failed = list(client.results("one", outcomes={Outcome.FAILED}))

    assert status.counts.failed == len(failed) > 0 == status.counts.missing
    assert {one.attempt for one in failed} == {1}
    assert len(patient.simulator.accepted) == 3
    check_sums(patient, "one")


async def test_three_batches_with_different_fates_share_a_round(patient: House) -> None:
    """One is answered, one meets 429s, one fails with a code that may pass: one small batch follows."""
    several = patient.with_options(batch_rows=10)
    with several.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await several.until(lambda: len(batches_of(several, "one")) == 3)
        _, quota, broken = batches_of(several, "one")
        several.simulator.behaviours.set(Behaviour(quota_rows=0.5), match=quota.id)
        several.simulator.behaviours.set(Behaviour(fail_code=13, shuffle=False), match=broken.id)
        status = await several.until_rest("one")

    *_, heir = found = batches_of(several, "one")
    assert status.counts.succeeded == len(PROMPTS)
    assert [batch.successor for batch in found] == ["", heir.id, heir.id, ""]
    assert sum(batch.counts.succeeded for batch in found) == len(PROMPTS)
    check_sums(several, "one")


async def test_rounds_rest_in_the_ledger_and_take_no_slot(patient: House) -> None:
    """A batch that rests is ready, handed out by nobody, and holds up nobody else."""
    slow = patient.with_options(retry_wait_s=3600.0, running_jobs=1)
    slow.simulator.behaviours.set(OFTEN_429)
    with slow.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(slow, "one")
        slow.simulator.behaviours.clear()
        client.submit(PROMPTS, model=MODEL, store="results", id="two")
        other = await slow.until_rest("two")
        waiting = client.get("one")

    _, heir = batches_of(slow, "one")
    assert other.counts.succeeded == len(PROMPTS)
    assert (waiting.state, heir.state) == (SubmissionState.RUNNING, BatchState.READY)
    assert waiting.reason.startswith(f"{heir.rows} rows rest until 20")
    rest_s = (heir.next_action_at - heir.created_at).total_seconds() if heir.next_action_at else 0.0
    assert 1800.0 <= rest_s <= 3600.0
    assert len(slow.simulator.accepted) == 2


async def test_a_cancel_while_rows_rest_keeps_what_is_there(patient: House) -> None:
    """The round is withdrawn; the rows stay as they failed."""
    slow = patient.with_options(retry_wait_s=3600.0)
    slow.simulator.behaviours.set(OFTEN_429)
    with slow.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(slow, "one")
        client.cancel("one")
        status = await slow.until_rest("one")

    assert (status.state, status.counts.total) == (SubmissionState.CANCELLED, len(PROMPTS))
    assert status.counts.failed > 0
    assert len(slow.simulator.accepted) == 1
    check_sums(slow, "one")


@pytest.mark.parametrize("then", list(OnDeadline))
async def test_a_deadline_while_rows_rest(patient: House, then: OnDeadline) -> None:
    """Reported, they stay as they failed; run again, they get another deadline, and are sent."""
    slow = patient.with_options(retry_wait_s=3600.0)
    slow.simulator.behaviours.set(OFTEN_429)
    with slow.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(slow, "one")
        slow.simulator.behaviours.clear()
        let_deadline_pass(slow, "one", then)
        again = then is OnDeadline.RERUN
        await slow.until(lambda: submission_of(slow, "one").rounds == again)
        if again:
            assert client.get("one").state is SubmissionState.RUNNING
            return
        status = await slow.until_rest("one")

    assert (status.state, status.counts.total) == (SubmissionState.DONE, len(PROMPTS))
    assert status.counts.failed > 0
    assert len(slow.simulator.accepted) == 1
    check_sums(slow, "one")


async def test_doubled_and_lost_hints_make_no_second_round(patient: House) -> None:
    """Every step may come twice, in any order, or only from the sweeper."""
    patient.simulator.behaviours.set(OFTEN_429)
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="muddled")
        await patient.muddled(Random(3)).until_rest("muddled")
        client.submit(PROMPTS, model=MODEL, store="results", id="lost")
        await patient.forgetful().until_rest("lost")

    jobs = {create.display_name for create in patient.simulator.accepted}
    assert len(jobs) == len(patient.simulator.accepted)
    assert all(batch.round <= 2 for name in ("muddled", "lost") for batch in batches_of(patient, name))
    check_sums(patient, "muddled")
    check_sums(patient, "lost")


async def test_a_round_that_broke_off_between_two_hand_overs_goes_on(patient: House) -> None:
    """A worker died there: rows that were handed over are not handed over again."""
    several = patient.with_options(batch_rows=15)
    several.simulator.behaviours.set(Behaviour(quota_rows=0.9))
    with several.client() as client:
        apart = Policy(split_conflicts=True)  # rests share no batch
        client.submit(PROMPTS, model=MODEL, store="results", id="one", policy=apart)
        await several.until(lambda: submission_of(several, "one").state is SubmissionState.SETTLING)
        several.simulator.behaviours.clear()
        several.letters.waiting.clear()
        dying = asyncio.create_task(steps.rerun(several.services, "one"))
        await breathe_until(lambda: len(batches_of(several, "one")) == 3)
        dying.cancel()
        with suppress(asyncio.CancelledError):
            await dying
        half_way = submission_of(several, "one").state
        status = await several.until_rest("one")

    assert half_way is SubmissionState.SETTLING
    assert status.counts.succeeded == len(PROMPTS)
    assert len(several.simulator.accepted) == len(batches_of(several, "one")) == 4
    check_sums(several, "one")


async def test_a_round_whose_input_cannot_be_uploaded_waits_for_a_person(patient: House) -> None:
    """Enqueued again it goes on where it was."""
    patient.simulator.behaviours.set(OFTEN_429)
    fault = Fault(method="storage.objects.insert", action=Action.REFUSE, status=403, match="00001/manifest")
    patient.simulator.faults.add(fault)
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        parked = await patient.until_rest("one")
        patient.simulator.behaviours.clear()
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await patient.until_rest("one")

    assert parked.state is SubmissionState.PARKED
    assert status.counts.succeeded == len(PROMPTS)
    assert len(batches_of(patient, "one")) == 2
    check_sums(patient, "one")


async def test_rows_whose_input_is_gone_end_as_they_are(patient: House) -> None:
    """The bucket's lifecycle was faster: nobody has to decide anything, and the account says why."""
    patient.simulator.behaviours.set(Behaviour(quota_rows=0.3, missing_rows=0.3))
    with patient.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await patient.until(lambda: states_of(patient, "one")[BatchState.INGESTED] == 1)
        (batch,) = batches_of(patient, "one")
        await patient.services.storage.delete(GcsUri.parse(batch.input_uri))
        status = await patient.until_rest("one")

    assert status.state is SubmissionState.DONE
    assert status.counts.failed > 0
    assert status.counts.missing > 0
    assert "the input of b-" in status.differences[0]
    assert len(batches_of(patient, "one")) == 1
    check_sums(patient, "one")


async def test_a_round_that_the_budget_does_not_allow_is_not_begun(patient: House) -> None:
    """Nobody is asked for more money: the submission ends, and says why."""
    patient.simulator.behaviours.set(Behaviour(quota_rows=0.5))
    with patient.client() as client:
        submitted = client.submit(PROMPTS, model=MODEL, store="results", id="one", budget_usd=1)
        assert submitted.estimate is not None
        await patient.until(lambda: states_of(patient, "one")[BatchState.BOUND] == 1)
        known = submission_of(patient, "one")
        terms = replace(known.terms, budget_pusd=1)
        patient.services.ledger.update_submission(known, terms=terms, next_action_at=known.next_action_at)
        status = await patient.until_rest("one")

    assert status.state is SubmissionState.DONE
    assert (
        status.reason == f"{status.counts.failed} rows were not tried again, as the budget does not allow it"
    )
    assert len(patient.simulator.accepted) == 1
    check_sums(patient, "one")
