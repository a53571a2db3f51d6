"""Cancel before anything is paid for: in the queue, while staging, and while batches wait to be sent."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import (
    MODEL,
    PROMPTS,
    STUCK,
    batches_of,
    breathe_until,
    results_of,
    running_jobs,
    states_of,
    submission_of,
)
from vertexq import Client, Outcome, Status, SubmissionState, steps
from vertexq.ledger import Record
from vertexq.model import GcsUri, NewSubmission, Policy, SourceKind
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

UPLOAD = "storage.objects.insert"


async def _cancelled(house: House, client: Client, submission_id: str) -> Status:
    """Go on until the submission is at rest; it must be cancelled, and no job may run on."""
    status = await house.until_rest(submission_id)
    assert status.state is SubmissionState.CANCELLED
    assert client.cancel(submission_id).state is SubmissionState.CANCELLED
    assert await running_jobs(house) == []
    return status


async def test_when_every_hint_is_lost(house: House) -> None:
    """The sweeper's own hints are enough, from the cancel to the end."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        queued = client.submit(PROMPTS, model=MODEL, store="results")
        client.cancel(queued.id)
        await _cancelled(house.forgetful(), client, queued.id)
        running = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until(lambda: BatchState.BOUND in states_of(house, running.id))
        client.cancel(running.id)
        await _cancelled(house.forgetful(), client, running.id)


async def test_in_the_queue(house: House) -> None:
    """Nothing is staged, nothing sent, and the rows it had brought along are dropped."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        assert client.cancel(submission.id).state is SubmissionState.CANCELLING
        await _cancelled(house, client, submission.id)

    assert house.simulator.accepted == []
    assert batches_of(house, submission.id) == []
    assert list(house.services.ledger.spool(submission.id)) == []


async def test_while_a_worker_stages(house: House) -> None:
    """The worker notices between two parts; what it entered is withdrawn."""
    several = house.with_options(batch_rows=1)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        staging = asyncio.create_task(steps.stage(several.services, submission.id))
        await breathe_until(lambda: bool(batches_of(house, submission.id)))
        noted = client.cancel(submission.id)
        await staging
        await _cancelled(several, client, submission.id)

    assert noted.state is SubmissionState.STAGING
    assert house.simulator.accepted == []
    assert 0 < len(batches_of(house, submission.id)) < len(PROMPTS)
    assert set(states_of(house, submission.id)) == {BatchState.WITHDRAWN}


async def test_when_the_worker_that_staged_has_died(house: House) -> None:
    """Nobody has it in hand, so it stops at once."""
    ledger = house.services.ledger
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        claim = ledger.claim(Record.SUBMISSION, submission.id, owner="dead", lease_s=-1.0)
        assert claim is not None
        ledger.move_submission(ledger.submission(submission.id), SubmissionState.STAGING, claim=claim)

        assert client.cancel(submission.id).state is SubmissionState.CANCELLING
        await _cancelled(house, client, submission.id)

    assert house.simulator.accepted == []


async def test_while_staging_cannot_go_on(house: House) -> None:
    """Cloud Storage is away: the cancel does not wait for it."""
    house.simulator.faults.add(Fault(method=UPLOAD, action=Action.REFUSE, status=403, times=None))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        ledger = house.services.ledger
        staging = asyncio.create_task(steps.stage(house.services, submission.id))
        await breathe_until(lambda: ledger.submission(submission.id).state is SubmissionState.STAGING)
        client.cancel(submission.id)
        await staging
        await _cancelled(house, client, submission.id)

    assert house.simulator.accepted == []


async def test_while_batches_wait_for_a_slot(house: House) -> None:
    """One job waits at Google and is stopped, two batches are withdrawn: their rows were never sent."""
    house.simulator.behaviours.set(STUCK)
    several = house.with_options(batch_rows=10, running_jobs=1)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await several.until(lambda: states_of(house, submission.id)[BatchState.BOUND] == 1)
        client.cancel(submission.id)
        status = await _cancelled(several, client, submission.id)

    assert len(house.simulator.accepted) == 1
    assert states_of(house, submission.id) == {BatchState.INGESTED: 1, BatchState.WITHDRAWN: 2}
    assert status.counts.total == status.counts.failed == 10
    assert results_of(house, submission.id) == {Outcome.FAILED: 10}


@pytest.mark.parametrize("turns", range(0, 24, 3))
async def test_in_a_race_with_the_create(house: House, turns: int) -> None:
    """Whoever wins: the job was never made, or it is stopped."""
    house.simulator.behaviours.set(STUCK)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await house.until(lambda: states_of(house, submission.id)[BatchState.READY] == 1)
        (batch,) = batches_of(house, submission.id)
        sending = asyncio.create_task(steps.create(house.services, batch.id))
        for _ in range(turns):
            await asyncio.sleep(0)
        client.cancel(submission.id)
        await asyncio.gather(sending, steps.cancel(house.services, submission.id))
        sent = len(house.simulator.accepted)
        await _cancelled(house, client, submission.id)

    assert len(house.simulator.accepted) == sent <= 1


async def test_with_rows_that_were_set_aside(house: House) -> None:
    """They were judged already: each is in the store with its reason; the others were never sent."""
    lines = [json.dumps({"key": f"k{n}", "request": _request(n)}) for n in range(9)]
    uri = GcsUri(bucket="staging", name="mine/prompts.jsonl")
    await house.services.storage.upload(uri, "\n".join([*lines, '{"key": "bad"}']).encode())
    house.services.ledger.enqueue(
        NewSubmission(
            id="aside", fingerprint="f" * 64, model=MODEL, store="results", source_kind=SourceKind.GCS,
            source=str(uri), policy=Policy(set_aside=True),
        )
    )  # fmt: skip
    with house.client() as client:
        await house.until(lambda: states_of(house, "aside")[BatchState.READY] == 1)
        client.cancel("aside")
        status = await _cancelled(house, client, "aside")
        (failed,) = client.results("aside")

    assert house.simulator.accepted == []
    assert (status.counts.failed, status.counts.total) == (1, 1)
    assert (failed.key, failed.outcome) == ("bad", Outcome.FAILED)
    assert failed.error_message


def _request(number: int) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": f"Say {number}"}]}]}


async def test_while_parked(house: House) -> None:
    """What a person was to decide is decided."""
    house.simulator.faults.add(Fault(method="*.create", action=Action.REFUSE, status=403))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        parked = await house.until_rest(submission.id)
        client.cancel(submission.id)
        status = await _cancelled(house, client, submission.id)

    assert parked.state is SubmissionState.PARKED
    assert house.simulator.accepted == []
    assert status.counts.total == status.counts.failed == len(PROMPTS)
    assert submission_of(house, submission.id).cancel_requested
