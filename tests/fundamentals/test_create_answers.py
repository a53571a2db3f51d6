"""Every way in which Google's answer to the paid call can fail to arrive: the job is found, and made once."""

from __future__ import annotations

import pytest

from tests.fundamentals.creating import (
    CREATE,
    LIST,
    MODEL,
    PROMPTS,
    away_from_google,
    enqueued,
    left_sending,
    moves,
    post_behind_our_back,
    quick,
    ready,
    the_batch,
)
from tests.fundamentals.house import House
from vertexq import SubmissionState, steps
from vertexq.ledger import Record
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

UNCLEAR = {
    "reset": Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP),
    "408": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=408),
    "409": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=409),
    "429": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=429),
    "500": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=500),
    "503": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=503),
    "504": Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=504),
    "time-out": Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=10.0),
    "truncated": Fault(method=CREATE, action=Action.OTHER, note="truncated"),
    "malformed": Fault(method=CREATE, action=Action.GARBLE),
    "html": Fault(method=CREATE, action=Action.OTHER, note="html"),
    "empty-name": Fault(method=CREATE, action=Action.OTHER, note="empty-name"),
}


@pytest.mark.parametrize("fault", UNCLEAR.values(), ids=UNCLEAR.keys())
async def test_a_job_whose_answer_is_lost_is_found_and_never_made_twice(house: House, fault: Fault) -> None:
    """Accepted, then no clear answer: ambiguous, found by its label, bound; every row lands once."""
    house.simulator.faults.add(fault)
    status = await enqueued(house.with_options(request_deadline_s=0.5))

    assert len(house.simulator.accepted) == 1
    assert moves(house) == ["ready", "sending", "ambiguous", "bound", "ended", "ingested"]
    assert status.counts.succeeded == len(PROMPTS)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_clear_refusal_parks_with_googles_sentence_and_is_not_repeated(
    house: House, status: int
) -> None:
    """Nothing was made, nothing is tried again until a person says so."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=status, times=None))
    parked = await enqueued(house)

    assert parked.state is SubmissionState.PARKED
    assert "Google refused the job" in parked.reason
    assert len(house.simulator.faults.log(CREATE)) == 1


async def test_a_batch_found_sending_is_looked_for_and_not_sent(house: House) -> None:
    """Whoever finds what a dead worker left makes no call before the settle time is over."""
    patient = house.with_options(settle_time_s=600.0)
    batch = await left_sending(patient)

    for _ in range(5):
        await steps.create(patient.services, batch.id)

    assert the_batch(house).state is BatchState.AMBIGUOUS
    assert house.simulator.faults.log(CREATE) == []
    assert house.simulator.faults.log(LIST)


async def test_a_job_made_by_a_worker_that_died_is_bound(house: House) -> None:
    """Killed between the answer and the ledger: the next one finds the job."""
    batch = await left_sending(house)
    await post_behind_our_back(house, batch)
    status = await house.until_rest("one")

    assert len(house.simulator.accepted) == 1
    assert status.counts.succeeded == len(PROMPTS)


async def test_a_storm_of_429_fails_nothing(house: House) -> None:
    """However often Google says slow down, the batch goes on afterwards, and was made once."""
    hasty = quick(house)
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=429, times=15))
    status = await enqueued(hasty)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert len(house.simulator.accepted) == 1
    assert len(house.simulator.faults.log(CREATE)) == 16


async def test_a_429_waits_as_long_as_google_asks(house: House) -> None:
    """``Retry-After`` beats our own shorter wait, and the reason can be read."""
    fault = Fault(method=CREATE, action=Action.REFUSE, status=429, retry_after_s=500)
    house.simulator.faults.add(fault)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
    await house.until(lambda: bool(house.simulator.faults.log(CREATE)))

    batch = the_batch(house)
    assert batch.state is BatchState.READY
    assert batch.next_action_at is not None
    assert (batch.next_action_at - house.services.ledger.now()).total_seconds() > 400
    assert "429" in batch.reason


async def test_an_outage_never_parks_and_ends_by_itself(house: House) -> None:
    """No connection for longer than all tries of a step: it waits, says why, and sends once."""
    batch = await ready(house)
    async with away_from_google(quick(house)) as away:
        for _ in range(20):
            house.services.ledger.hasten(Record.BATCH, batch.id)
            await steps.create(away.services, batch.id)
    waiting = the_batch(house)
    status = await house.until_rest("one")

    assert (waiting.state, waiting.attempt, waiting.sent_at) == (BatchState.READY, 0, None)
    assert "no connection" in waiting.reason
    assert (status.state, len(house.simulator.accepted)) == (SubmissionState.DONE, 1)


async def test_looks_that_fail_are_repeated_and_never_park(house: House) -> None:
    """An ambiguous batch waits until Google's list can be read; only then is it decided."""
    batch = await left_sending(house)
    await post_behind_our_back(house, batch)
    async with away_from_google(quick(house)) as away:
        for _ in range(10):
            house.services.ledger.hasten(Record.BATCH, batch.id)
            await steps.create(away.services, batch.id)
    waiting = the_batch(house)
    status = await house.until_rest("one")

    assert (waiting.state, waiting.looks) == (BatchState.AMBIGUOUS, 0)
    assert "no connection" in waiting.reason
    assert (status.state, len(house.simulator.accepted)) == (SubmissionState.DONE, 1)
