"""Finish online while things go wrong: faults of Google's, lost and doubled hints, workers that die."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.fundamentals.house import House
from tests.fundamentals.retrying import MODEL, PROMPTS, check_sums
from tests.fundamentals.soaking import Dead
from tests.fundamentals.stopping_house import batches_of, breathe_until, states_of
from vertexq import Outcome, steps
from vertexq.google.auth import default_tokens
from vertexq.google.online import Online
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport
from vertexq.ledger import Ledger, Record
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link
from vertexq.limits.restraint import SharedRestraint
from vertexq.limits.shape import shapes
from vertexq.limits.shared import SharedLimits
from vertexq.model import GcsUri, Submission
from vertexq.retry import Backoff
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState, SubmissionState

FEW = Behaviour(quota_rows=0.2, missing_rows=0.1)
GENERATE = "*.generateContent"


@pytest_asyncio.fixture
async def brisk(house: House) -> AsyncIterator[House]:
    """Give a house that tries again after milliseconds, whose last rows go in parts of three."""
    house.simulator.behaviours.set(FEW)
    options = replace(
        house.services.options, backoff=Backoff(first_s=0.01, longest_s=0.05), online_part_rows=3
    )
    pace = Pace(first_s=0.01, cap_s=0.02)
    async with Transport(await default_tokens(emulator=True), pace=pace) as transport:
        online = Online(transport, endpoint=house.simulator.url)
        yield replace(house, services=replace(house.services, options=options, online=online))


async def finished(house: House, submission_id: str = "one") -> Counter[Outcome]:
    """Submit rows, go on until nothing more happens, and count how they came out."""
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id=submission_id, finish_online=20)
        await house.until_rest(submission_id)
        outcomes = Counter(one.outcome for one in client.results(submission_id))
    check_sums(house, submission_id)
    return outcomes


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=GENERATE, action=Action.REFUSE, status=429, times=8),
        Fault(method=GENERATE, action=Action.REFUSE, status=503, times=8),
        Fault(method=GENERATE, action=Action.DROP, times=2),
        Fault(method=GENERATE, action=Action.DELAY, delay_s=0.3, times=None),
        Fault(method="storage.objects.insert", match="predictions_", action=Action.ACCEPT_THEN_REFUSE),
        Fault(method="storage.objects.insert", match="predictions_", action=Action.ACCEPT_THEN_DROP),
    ],
)
async def test_what_passes_costs_nothing(brisk: House, fault: Fault) -> None:
    """Every row is answered, and paid for once."""
    brisk.simulator.faults.add(fault)
    outcomes = await finished(brisk)

    assert outcomes == {Outcome.SUCCEEDED: len(PROMPTS)}
    assert len(brisk.simulator.online_calls) == batches_of(brisk, "one")[1].rows


@pytest.mark.parametrize("action", [Action.ACCEPT_THEN_DROP, Action.ACCEPT_THEN_REFUSE])
async def test_an_answer_that_is_lost_is_asked_for_again(brisk: House, action: Action) -> None:
    """It may be paid for once more; the row is there once."""
    brisk.simulator.faults.add(Fault(method=GENERATE, action=action, times=2))
    outcomes = await finished(brisk)

    assert outcomes == {Outcome.SUCCEEDED: len(PROMPTS)}
    assert len(brisk.simulator.online_calls) == batches_of(brisk, "one")[1].rows + 2


async def test_what_is_always_lost_is_asked_for_three_times(brisk: House) -> None:
    """Then the row has failed: each request may have been paid for."""
    brisk.simulator.faults.add(Fault(method=GENERATE, action=Action.ACCEPT_THEN_DROP, times=None))
    outcomes = await finished(brisk)
    with brisk.client() as client:
        failed = [one for one in client.results("one") if one.outcome is Outcome.FAILED]

    rows = batches_of(brisk, "one")[1].rows
    assert outcomes[Outcome.FAILED] == len(failed) == rows
    assert {one.error_code for one in failed} == {504}
    assert all("may have been paid for" in (one.error_message or "") for one in failed)
    assert len(brisk.simulator.online_calls) == 3 * rows


async def test_rows_that_take_a_whole_slice_do_not_go_on_for_ever(brisk: House) -> None:
    """A slice that brings no row further counts like a way through all of them."""
    short = brisk.with_options(slice_s=0.0)
    short.simulator.behaviours.set(Behaviour(quota_rows=1.0), match="online")
    outcomes = await finished(short)

    rows = batches_of(short, "one")[1].rows
    assert (outcomes[Outcome.FAILED], short.simulator.online_calls) == (rows, [])


async def test_doubled_and_lost_hints_ask_for_nothing_twice(brisk: House) -> None:
    """Every step may come twice, in any order, or only from the sweeper."""
    muddled = await finished(brisk.muddled(Random(3)), "muddled")
    lost = await finished(brisk.forgetful(), "lost")

    assert muddled == lost == {Outcome.SUCCEEDED: len(PROMPTS)}
    online = [batch for name in ("muddled", "lost") for batch in batches_of(brisk, name) if batch.online]
    assert len(brisk.simulator.online_calls) == sum(batch.rows for batch in online)


@pytest.mark.parametrize("answered", [1, 3, 4, 6, 7])
async def test_a_worker_that_dies_repeats_one_part_at_most(brisk: House, answered: int) -> None:
    """Whatever was written before stays, and every row is there once."""
    slow = Fault(method=GENERATE, action=Action.DELAY, delay_s=0.05, times=None, skip=answered)
    brisk.simulator.faults.add(slow)
    with brisk.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await brisk.until(lambda: has_online(brisk))
        dying = asyncio.create_task(steps.online(brisk.services, batches_of(brisk, "one")[1].id))
        await breathe_until(lambda: len(brisk.simulator.online_calls) >= answered)
        dying.cancel()
        with suppress(asyncio.CancelledError):
            await dying
        brisk.simulator.faults.clear()
        await brisk.until_rest("one")
        outcomes = Counter(one.outcome for one in client.results("one"))

    calls = brisk.simulator.online_calls
    assert outcomes == {Outcome.SUCCEEDED: len(PROMPTS)}
    assert len(calls) <= batches_of(brisk, "one")[1].rows + 3
    check_sums(brisk, "one")


class LedgerThatDies(Ledger):
    """The ledger of a worker that dies when rows are handed over, before their submission runs again."""

    def move_submission(self, *_args: Any, **_values: Any) -> Submission:
        """Die instead."""
        raise Dead


async def test_rows_handed_over_by_a_worker_that_died_are_answered(brisk: House) -> None:
    """A hint for them that comes before their submission runs again is too early, and not the last one."""
    with brisk.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await brisk.until(lambda: client.get("one").state is SubmissionState.SETTLING)
        dying = LedgerThatDies.open(brisk.environ()["VERTEXQ_LEDGER_URL"], migrate=False)
        with suppress(Dead):
            await steps.rerun(replace(brisk.services, ledger=dying), "one")
        dying.close()
        await steps.online(brisk.services, batches_of(brisk, "one")[1].id)
        status = await brisk.until_rest("one")

    assert status.counts.succeeded == len(PROMPTS)
    check_sums(brisk, "one")


def has_online(house: House) -> bool:
    """Tell whether rows wait to be answered online."""
    return any(batch.online for batch in batches_of(house, "one"))


async def test_a_worker_that_was_asleep_writes_nothing(brisk: House) -> None:
    """Its lease ran out while it waited for answers; another one has answered the rows meanwhile."""
    sleepy = brisk.with_options(lease_s=0.05, heartbeat_s=60.0)
    with brisk.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await brisk.until(lambda: has_online(brisk))
        batch = batches_of(brisk, "one")[1]
        brisk.simulator.faults.add(Fault(method=GENERATE, action=Action.DELAY, delay_s=0.5, times=3))
        asleep = asyncio.create_task(steps.online(sleepy.services, batch.id))
        await breathe_until(lambda: batches_of(brisk, "one")[1].state is BatchState.ONLINE)
        await brisk.until_rest("one")
        await asleep
        outcomes = Counter(one.outcome for one in client.results("one"))

    assert outcomes == {Outcome.SUCCEEDED: len(PROMPTS)}
    assert batch.rows < len(brisk.simulator.online_calls) <= batch.rows + 3
    check_sums(brisk, "one")


async def test_while_the_limits_cannot_be_asked_rows_wait(brisk: House) -> None:
    """Nothing was sent, so nothing has failed; the reason is said."""
    with brisk.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await brisk.until(lambda: has_online(brisk))
        batch = batches_of(brisk, "one")[1]
        async with without_redis(brisk) as waiting:
            await steps.online(waiting.services, batch.id)
        reason = client.get("one").reason
        brisk.services.ledger.hasten(Record.BATCH, batch.id)
        status = await brisk.until_rest("one")

    assert "was not made" in reason
    assert status.counts.succeeded == len(PROMPTS)
    assert len(brisk.simulator.online_calls) == batch.rows
    check_sums(brisk, "one")


@asynccontextmanager
async def without_redis(house: House) -> AsyncGenerator[House]:
    """Give the same house; its online calls keep to limits in a Redis that is away."""
    shape = shapes(creates_per_minute=60, reads_per_minute=600, request_deadline_s=60.0)
    async with Link("redis+socket:///nowhere/valkey.sock", warn=False) as link:
        restraint = SharedRestraint(SharedLimits(link, shape), RetryBudget(link), project="demo")
        async with Transport(await default_tokens(emulator=True), restraint=restraint) as transport:
            online = Online(transport, endpoint=house.simulator.url)
            services = replace(
                house.services, online=online, options=replace(house.services.options, online_deadline_s=1.0)
            )
            yield replace(house, services=services)


async def test_rows_whose_input_is_gone_end_as_they_are(brisk: House) -> None:
    """Nobody has to decide anything."""
    with brisk.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one", finish_online=20)
        await brisk.until(lambda: states_of(brisk, "one")[BatchState.INGESTED] == 1)
        await brisk.services.storage.delete(GcsUri.parse(batches_of(brisk, "one")[0].input_uri))
        status = await brisk.until_rest("one")

    assert status.counts.total == len(PROMPTS)
    assert status.counts.failed + status.counts.missing > 0
    assert "the input of b-" in status.differences[0]
    check_sums(brisk, "one")
