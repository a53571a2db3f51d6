"""Jobs that turn up late: accepted after we looked, listed after we looked, or after we sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fundamentals.creating import (
    CREATE,
    PROMPTS,
    enqueue,
    enqueued,
    happens,
    left_sending,
    moves,
    post_behind_our_back,
    quick,
    the_batch,
    until_state,
)
from tests.fundamentals.house import House
from vertexq import Status, steps
from vertexq.ledger import Record, Stray
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState
from vertexq.steps.services import Options, seconds

LONG = Behaviour(timing=replace(Timing.fast(), run_s=2.0))


async def test_a_job_accepted_after_the_first_empty_look_is_bound(house: House) -> None:
    """A POST that was cut off takes effect half a second later; the settle time covers it."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=0.5))
    status = await enqueued(house.with_options(settle_time_s=10.0))

    assert len(house.simulator.accepted) == 1
    assert the_batch(house).looks > 1
    assert_whole(house, status)


async def test_a_job_accepted_after_the_settle_time_is_found_before_the_second_post(house: House) -> None:
    """Sent back already, not sent again yet: one more look finds what came in between."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=1.0))
    enqueue(house)
    await until_state(house.with_options(settle_time_s=0.05), BatchState.READY, attempt=1)
    await happens(lambda: len(house.simulator.accepted) == 1)
    status = await house.until_rest("one")

    assert len(house.simulator.accepted) == 1
    assert moves(house)[3:] == ["ready", "bound", "ended", "ingested"]
    assert_whole(house, status)


async def test_the_job_of_an_earlier_attempt_is_kept_when_a_later_post_is_unclear_too(house: House) -> None:
    """The oldest job is bound with its own output prefix; its answers are the ones that land."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=1.0))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.DROP))
    enqueue(house)
    first = await until_state(house.with_options(settle_time_s=0.05), BatchState.READY, attempt=1)
    patient = house.with_options(settle_time_s=20.0)
    await until_state(patient, BatchState.AMBIGUOUS, attempt=2)
    status = await patient.until_rest("one")

    assert len(house.simulator.accepted) == 1
    assert the_batch(house).output_prefix == first.output_prefix
    assert_whole(house, status)


async def test_a_stray_that_appears_after_a_later_attempt_was_bound_is_cancelled(house: House) -> None:
    """What is bound stays; the late job is cancelled until it has stopped, and reported."""
    house.simulator.behaviours.set(LONG)
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=1.0))
    enqueue(house)
    hasty = house.with_options(settle_time_s=0.05)
    bound = await until_state(hasty, BatchState.BOUND, attempt=2)
    await happens(lambda: len(house.simulator.accepted) == 2)
    await hasty.until(lambda: any(stray.stopped for stray in strays(house)))
    status = await hasty.until_rest("one")

    assert [stray.job_name for stray in strays(house)] == [house.simulator.accepted[1].name]
    assert strays(house)[0].job_state == "JOB_STATE_CANCELLED"
    assert the_batch(house).job_name == bound.job_name == house.simulator.accepted[0].name
    assert_whole(house, status)


async def test_a_list_that_lags_is_waited_for(house: House) -> None:
    """A lag of a thirtieth of the settle time, as 30 s to 15 minutes: many empty looks, one job."""
    house.simulator.behaviours.set(Behaviour(list_lag_s=0.6))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    status = await enqueued(house.with_options(settle_time_s=18.0))

    assert len(house.simulator.accepted) == 1
    assert the_batch(house).looks > 1
    assert_whole(house, status)


async def test_a_429_that_hid_a_job_is_found_out_though_the_list_lags(house: House) -> None:
    """Accepted, answered 429, listed late: half a minute and one more look stand before another POST."""
    house.simulator.behaviours.set(Behaviour(list_lag_s=0.5))
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=429))
    status = await enqueued(quick(house.with_options(settle_time_s=30.0)))

    assert len(house.simulator.accepted) == 1
    assert_whole(house, status)


@pytest.mark.parametrize(
    ("age_s", "looks", "then"), [(880, 50, "ambiguous"), (901, 0, "ambiguous"), (901, 1, "ready")]
)
async def test_the_settle_time_is_over_after_fifteen_minutes_and_two_looks(
    house: House, age_s: float, looks: int, then: str
) -> None:
    """With the settings as shipped, by the ledger's clock: neither age nor looks alone allow another POST."""
    shipped = Options(project="p", location="l", staging=house.services.options.staging)
    usual = house.with_options(settle_time_s=shipped.settle_time_s)
    batch, ledger = await left_sending(usual), house.services.ledger
    claim = ledger.claim(Record.BATCH, batch.id, owner="test", lease_s=60.0)
    assert claim is not None
    sent_at = ledger.now() - seconds(age_s)
    ledger.move_batch(batch, BatchState.AMBIGUOUS, claim=claim, sent_at=sent_at, looks=looks)
    ledger.release(claim)

    await steps.create(usual.services, batch.id)

    assert the_batch(house).state == then
    assert house.simulator.accepted == []


async def test_the_next_look_is_soon_and_one_is_made_when_the_settle_time_ends(house: House) -> None:
    """From seconds to a minute between looks, and never past the moment that decides."""
    usual = house.with_options(settle_time_s=900.0)
    batch, ledger = await left_sending(usual), house.services.ledger
    waits = list[float]()
    for _ in range(8):
        ledger.hasten(Record.BATCH, batch.id)
        await steps.create(usual.services, batch.id)
        due = the_batch(house).next_action_at
        assert due is not None
        waits.append((due - ledger.now()).total_seconds())

    assert waits == pytest.approx([2, 4, 8, 16, 32, 60, 60, 60], abs=1.5)


async def test_two_jobs_of_one_attempt_leave_one(house: House) -> None:
    """A POST that something between us and Google made twice: the older is bound, the other cancelled."""
    house.simulator.behaviours.set(LONG)
    batch = await left_sending(house)
    older, newer = await post_behind_our_back(house, batch), await post_behind_our_back(house, batch)
    status = await house.until_rest("one")

    assert the_batch(house).job_name == older.name
    assert [(stray.job_name, stray.stopped) for stray in strays(house)] == [(newer.name, True)]
    assert_whole(house, status)


async def test_a_second_job_beside_a_bound_one_is_found_while_it_runs(house: House) -> None:
    """Though our own create was answered clearly, a job with the same label is noticed and cancelled."""
    house.simulator.behaviours.set(LONG)
    enqueue(house)
    batch = await until_state(house, BatchState.BOUND)
    second = await post_behind_our_back(house, batch)
    status = await house.until_rest("one")

    assert the_batch(house).job_name == batch.job_name
    assert [(stray.job_name, stray.stopped) for stray in strays(house)] == [(second.name, True)]
    assert_whole(house, status)


async def test_a_job_that_only_bears_the_label_is_never_kept_but_cancelled(house: House) -> None:
    """Somebody copied the job and let it write elsewhere: it is a stray, though it is the older one."""
    house.simulator.behaviours.set(LONG)
    batch = await left_sending(house)
    elsewhere = {"input_uri": "gs://staging/copy.jsonl", "output_prefix": "gs://staging/copied"}
    copied = await post_behind_our_back(house, replace(batch, **elsewhere))  # type: ignore[arg-type]
    ours = await post_behind_our_back(house, batch)
    status = await house.until_rest("one")
    await house.until(lambda: all(stray.stopped for stray in strays(house)))

    assert the_batch(house).job_name == ours.name
    assert [stray.job_name for stray in strays(house)] == [copied.name]
    assert_whole(house, status)


async def test_a_job_of_another_ledger_with_the_same_label_is_left_alone(house: House) -> None:
    """It writes to its own ledger's folder, so somebody else waits for it, whatever its label says."""
    house.simulator.behaviours.set(LONG)
    enqueue(house)
    batch = await until_state(house, BatchState.BOUND)
    theirs = "gs://staging/other/one/00000"
    elsewhere = {"input_uri": f"{theirs}/input.jsonl", "output_prefix": f"{theirs}/a1-abcdefgh"}
    foreign = await post_behind_our_back(house, replace(batch, **elsewhere))  # type: ignore[arg-type]
    status = await house.until_rest("one")

    assert strays(house) == []
    assert (await house.services.vertex.get(foreign.name)).state_text != "JOB_STATE_CANCELLED"
    assert_whole(house, status)


async def test_a_stray_is_cancelled_again_after_the_batch_has_ended(house: House) -> None:
    """A cancel that failed is asked for again by later polls, though nothing of the batch is left to do."""
    house.simulator.behaviours.set(Behaviour(timing=replace(Timing.fast(), pending_s=0.3)))
    batch = await left_sending(house)
    await post_behind_our_back(house, batch)
    house.simulator.behaviours.set(Behaviour(timing=replace(Timing.fast(), pending_s=60.0)))
    house.simulator.faults.add(
        Fault(method=CREATE.replace(".create", ".cancel"), action=Action.REFUSE, status=403, times=4)
    )
    newer = await post_behind_our_back(house, batch)
    status = await house.until_rest("one")
    await house.until(lambda: all(stray.stopped for stray in strays(house)))

    assert [(stray.job_name, stray.job_state) for stray in strays(house)] == [
        (newer.name, "JOB_STATE_CANCELLED")
    ]
    assert_whole(house, status)


def strays(house: House) -> list[Stray]:
    """Return the strays of the only submission."""
    return house.services.ledger.strays("one")


def assert_whole(house: House, status: Status) -> None:
    """Hold every row to having landed once."""
    assert status.counts.succeeded == status.counts.total == len(PROMPTS)
    with house.client() as client:
        assert sorted(result.key for result in client.results(status.id)) == list("01234")
