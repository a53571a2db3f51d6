"""A retry by hand: rows of a submission that has ended go into new jobs, because somebody wants it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import MODEL, PROMPTS, check_sums
from tests.fundamentals.stopping_house import (
    LONG_S,
    STUCK,
    batches_of,
    breathe_until,
    let_deadline_pass,
    results_of,
    states_of,
    submission_of,
)
from vertexq import AsyncClient, Outcome, Policy, SubmissionState
from vertexq.errors import BadInput, NotDone, UnknownModel
from vertexq.model import PUSD_PER_USD
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

JOBS = "aiplatform.projects.locations.batchPredictionJobs"
LITE = "gemini-2.5-flash-lite"
HERE = "projects/demo/locations/us-central1"
ALL_FAIL = Behaviour(bad_rows=1.0)


async def ended(house: House, behaviour: Behaviour, *, name: str = "one", store: str = "results") -> None:
    """Let a submission come to its end while Google behaves so; afterwards it behaves well."""
    house.simulator.behaviours.set(behaviour)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store=store, id=name)
        await house.until_rest(name)
    house.simulator.behaviours.clear()


@pytest.mark.parametrize("store", ["results", "lines", "duck", "parquet"])
async def test_failed_and_missing_rows_are_tried_again(house: House, store: str) -> None:
    """Their rows in the store are replaced; the others are not paid for twice."""
    await ended(house, Behaviour(bad_rows=0.3, missing_rows=0.3), store=store)
    with house.client() as client:
        before = client.get("one")
        asked = client.retry("one", outcomes=["failed", "missing"])
        status = await house.until_rest("one")

    first, second = batches_of(house, "one")
    assert asked.state is SubmissionState.SETTLING
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert second.rows == before.counts.failed + before.counts.missing
    assert first.counts.succeeded == before.counts.succeeded
    assert (status.finished_at, before.finished_at) != (None, None)
    check_sums(house, "one")


async def test_only_what_is_asked_for_is_tried_again(house: House) -> None:
    """Missing rows go again, failed and blocked ones stay."""
    await ended(house, Behaviour(bad_rows=0.2, missing_rows=0.3, blocked_rows=0.2))
    with house.client() as client:
        before = client.get("one").counts
        client.retry("one", outcomes=["missing"])
        after = (await house.until_rest("one")).counts

    assert before.missing > 0 == after.missing
    assert (after.failed, after.blocked) == (before.failed, before.blocked)
    check_sums(house, "one")


async def test_blocked_rows_may_be_answered_and_what_the_block_cost_stays(house: House) -> None:
    """The prompt of a blocked row is paid for; so is its second try."""
    await ended(house, Behaviour(blocked_rows=0.4))
    with house.client() as client:
        before = client.get("one")
        client.retry("one", outcomes=[Outcome.BLOCKED])
        status = await house.until_rest("one")
        in_store = sum(one.cost_usd or 0.0 for one in client.results("one"))

    assert before.counts.blocked > 0 == status.counts.blocked
    assert submission_of(house, "one").cost_pusd > in_store * PUSD_PER_USD
    check_sums(house, "one")


async def test_a_worse_answer_replaces_nothing(house: House) -> None:
    """Blocked rows that fail the second time stay blocked."""
    await ended(house, Behaviour(blocked_rows=1.0))
    house.simulator.behaviours.set(ALL_FAIL)
    with house.client() as client:
        client.retry("one", outcomes=["blocked"])
        status = await house.until_rest("one")

    assert status.counts.blocked == len(PROMPTS)
    assert status.differences == ()
    assert results_of(house, "one") == {Outcome.BLOCKED: len(PROMPTS)}
    check_sums(house, "one")


async def test_another_model_answers_at_its_own_price(house: House) -> None:
    """The job is another model's, and so is the estimate; rows say who answered."""
    await ended(house, ALL_FAIL)
    with house.client() as client:
        client.retry("one", outcomes=["failed"], model=LITE)
        status = await house.until_rest("one")
        models = {one.model_version for one in client.results("one")}

    first, second = batches_of(house, "one")
    assert status.counts.succeeded == len(PROMPTS)
    assert (second.model, models) == (LITE, {LITE})
    assert first.estimate is not None
    assert second.estimate is not None
    assert 0 < (second.estimate.cost_pusd or 0) < (first.estimate.cost_pusd or 0)


async def test_a_retry_of_a_retry(house: House) -> None:
    """It fails again, and is tried once more; every row is in one account only."""
    await ended(house, ALL_FAIL)
    house.simulator.behaviours.set(Behaviour(bad_rows=0.5))
    with house.client() as client:
        client.retry("one", outcomes=["failed"])
        again = await house.until_rest("one")
        house.simulator.behaviours.clear()
        client.retry("one", outcomes=["failed"])
        status = await house.until_rest("one")

    assert 0 < again.counts.succeeded < len(PROMPTS) == status.counts.succeeded
    assert [batch.round for batch in batches_of(house, "one")] == [0, 1, 2]
    check_sums(house, "one")


async def test_nothing_to_try_again_changes_nothing(house: House) -> None:
    """Asked twice, or for rows that are not there, it stays as it ended."""
    await ended(house, Behaviour())
    with house.client() as client:
        before = submission_of(house, "one")
        status = client.retry("one", outcomes=["failed", "missing", "blocked", "quarantined"])

    assert status.state is SubmissionState.DONE
    assert submission_of(house, "one") == before


async def test_asking_twice_makes_one_job(house: House) -> None:
    """The second time the first one is still noted; while it runs nobody can ask for more."""
    await ended(house, ALL_FAIL)
    with house.client() as client:
        client.retry("one", outcomes=["failed"])
        again = client.retry("one", outcomes=["failed"])
        await house.until(lambda: submission_of(house, "one").state is SubmissionState.RUNNING)
        with pytest.raises(NotDone, match="running"):
            client.retry("one", outcomes=["failed"])
        await house.until_rest("one")

    assert again.state is SubmissionState.SETTLING
    assert len(house.simulator.accepted) == 2


async def test_what_was_withdrawn_by_a_cancel_can_be_sent_after_all(house: House) -> None:
    """One of three batches was running; the rows that were never sent are missing for who asks for them."""
    several = house.with_options(batch_rows=10, running_jobs=1)
    house.simulator.behaviours.set(STUCK)
    with several.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await several.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        client.cancel("one")
        cancelled = await several.until_rest("one")
        house.simulator.behaviours.clear()
        client.retry("one", outcomes=["failed", "missing"])
        status = await several.until_rest("one")

    assert cancelled.state is SubmissionState.CANCELLED
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    check_sums(house, "one")


async def test_what_google_refused_may_be_sent_by_hand(house: House) -> None:
    """Nothing of it runs or was paid for; another model may be let in."""
    house.simulator.faults.add(Fault(method=f"{JOBS}.create", action=Action.REFUSE, status=403))
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        parked = await house.until_rest("one")
        client.retry("one", outcomes=["missing"], model=LITE)
        await house.until(lambda: client.get("one").ended)
        status = client.get("one")

    assert parked.state is SubmissionState.PARKED
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    check_sums(house, "one")


async def test_what_was_refused_twice_goes_on_once(house: House) -> None:
    """Its rows are the second batch's: enqueued again, the first is not sent beside it."""
    house.simulator.faults.add(Fault(method=f"{JOBS}.create", action=Action.REFUSE, status=403, times=2))
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await house.until_rest("one")
        client.retry("one", outcomes=["missing"])
        again = await house.until_rest("one")
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await house.until_rest("one")

    assert again.state is SubmissionState.PARKED
    assert status.counts.succeeded == len(PROMPTS)
    assert len(house.simulator.accepted) == 1
    check_sums(house, "one")


async def test_a_deadline_that_passed_does_not_hold_up_a_retry(house: House) -> None:
    """It was for the first run."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await house.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        let_deadline_pass(house, "one")
        late = await house.until_rest("one")
        house.simulator.behaviours.clear()
        client.retry("one", outcomes=["missing"])
        status = await house.until_rest("one")

    assert (late.counts.missing, status.counts.succeeded) == (len(PROMPTS), len(PROMPTS))
    assert status.deadline_at is None
    check_sums(house, "one")


async def test_rows_that_the_check_set_aside_are_never_sent(house: House) -> None:
    """They failed before anything was sent, and would again."""
    rows = [*PROMPTS, {"key": "bad", "contents": "no list"}]
    with house.client() as client:
        client.submit(rows, model=MODEL, store="results", id="one", policy=Policy(set_aside=True))
        await house.until_rest("one")
        status = client.retry("one", outcomes=["failed"])

    assert (status.state, status.counts.failed) == (SubmissionState.DONE, 1)
    check_sums(house, "one")


async def test_rows_of_a_job_that_vanished_are_never_sent_again(house: House) -> None:
    """It may still run, and be paid for."""
    brief = replace(house.services.options.backoff, first_s=0.01, attempts=2)
    house.simulator.behaviours.set(replace(STUCK, list_lag_s=LONG_S, get_lag_s=LONG_S))
    options = replace(house.services.options, backoff=brief)
    lossy = replace(house, services=replace(house.services, options=options))
    with lossy.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await lossy.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        lost = await lossy.until_rest("one")
        status = client.retry("one", outcomes=["failed", "missing"])

    assert states_of(house, "one")[BatchState.LOST] == 1
    assert (lost.state, status.state) == (SubmissionState.FAILED, SubmissionState.FAILED)


async def test_a_worker_that_dies_half_way_hands_nothing_over_twice(house: House) -> None:
    """It stops right after the new batch is in the ledger."""
    await ended(house, ALL_FAIL)
    with house.client() as client:
        client.retry("one", outcomes=["failed"])
        dying = asyncio.create_task(house.until(lambda: False))
        await breathe_until(lambda: len(batches_of(house, "one")) == 2)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        status = await house.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    assert len(batches_of(house, "one")) == len(house.simulator.accepted) == 2
    assert submission_of(house, "one").retry is None
    check_sums(house, "one")


async def test_what_cannot_be_asked_for(house: House) -> None:
    """Succeeded rows, no rows, a model nobody knows, and a submission that runs."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await house.until(lambda: states_of(house, "one")[BatchState.BOUND] == 1)
        with pytest.raises(BadInput, match="succeeded"):
            client.retry("one", outcomes=["succeeded"])
        with pytest.raises(BadInput, match="nothing"):
            client.retry("one", outcomes=[])
        with pytest.raises(UnknownModel):
            client.retry("one", outcomes=["failed"], model="nobody-knows-it")


@pytest.mark.parametrize(
    ("submitted", "parameters", "asked", "said"),
    [
        ("gemini-embedding-001", {}, "gemini-embedding-2", "not in us-central1"),
        ("gemini-embedding-2", {}, "gemini-embedding-001", "not in global"),
        ("gemini-embedding-001", {"task_type": "CLUSTERING"}, "gemini-embedding-2", "no notice of task_type"),
        (f"{HERE}/models/17", {}, f"{HERE}/endpoints/5", "is an endpoint"),
        (f"{HERE}/models/17", {}, "projects/demo/locations/us-east1/models/17", "is in us-east1"),
    ],
)
async def test_another_model_must_run_where_the_rows_are(
    house: House, submitted: str, parameters: dict[str, object], asked: str, said: str
) -> None:
    """It is refused at once, also when the workers' setting has decided the place."""
    house.simulator.behaviours.set(Behaviour(missing_rows=1.0))
    place = "global" if submitted == "gemini-embedding-2" else ""
    with house.client() as client:
        client.submit(
            PROMPTS, model=submitted, store="results", id="one", parameters=parameters, location=place
        )
        await house.until_rest("one")
        with pytest.raises(BadInput, match=said):
            client.retry("one", outcomes=["missing"], model=asked)

    assert submission_of(house, "one").retry is None


async def test_the_client_for_asyncio_asks_as_well(house: House) -> None:
    """And reads what was set aside."""
    await ended(house, Behaviour(corrupt_rows=1.0))
    async with AsyncClient(environ=house.environ()) as client:
        lines = [line async for line in client.quarantine("one")]
        asked = await client.retry("one", outcomes=["missing"])

    assert len(lines) == len(PROMPTS)
    assert asked.state is SubmissionState.SETTLING
