"""Staging: nothing twice, whatever is interrupted or replaced; rows set aside, split, used as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

import pytest

from tests.fundamentals.house import House
from vertexq import Outcome, Policy, SubmissionState
from vertexq.model import GcsUri, ObjectInfo
from vertexq.names import TaskName
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState
from vertexq.steps import stage

MODEL = "gemini-2.5-flash"
INSERT = "storage.objects.insert"
ROWS = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(30)]


def lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows as JSON Lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def request(text: str) -> dict[str, object]:
    """Return a request."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


async def put(house: House, name: str, data: bytes) -> GcsUri:
    """Store an object of the producer's."""
    uri = GcsUri(bucket="staging", name=f"mine/{name}")
    await house.services.storage.upload(uri, data)
    return uri


async def stored(house: House, prefix: str) -> dict[str, ObjectInfo]:
    """Return the objects below a prefix of the bucket, by name."""
    found = house.services.storage.list(GcsUri(bucket="staging", name=prefix))
    return {one.uri.name: one async for one in found}


async def interrupt(house: House, submission_id: str, *, after: int) -> None:
    """Stage until so many batches have entered, and stop the worker in the middle of the next upload."""
    ledger = house.services.ledger
    house.simulator.faults.add(Fault(method=INSERT, action=Action.DELAY, delay_s=3.0, match=f"{after:05d}"))
    staging = asyncio.create_task(stage(house.services, submission_id))
    begun = len(house.simulator.faults.log(INSERT))

    def has_got_there() -> bool:
        return len(house.simulator.faults.log(INSERT)) > begun and len(ledger.batches(submission_id)) >= after

    async with asyncio.timeout(30):
        while not has_got_there():  # noqa: ASYNC110  (neither the ledger nor the log has events)
            await asyncio.sleep(0.01)
    staging.cancel()
    await asyncio.gather(staging, return_exceptions=True)
    house.simulator.faults.clear()


async def test_an_interrupted_stage_uploads_and_enters_only_the_rest(house: House) -> None:
    """The next try finds the first two parts, and their objects stay the generations they were."""
    several = house.with_options(batch_rows=10)
    with several.client() as client:
        submission = client.submit(ROWS, model=MODEL, store="results")
        await interrupt(several, submission.id, after=2)
        before, entered = await stored(several, "vertexq/"), several.services.ledger.batches(submission.id)
        inserted = len(house.simulator.faults.log(INSERT))
        await stage(several.services, submission.id)
        again = house.simulator.faults.log(INSERT)[inserted:]
        status = await several.until_rest(submission.id)

    after = await stored(several, "vertexq/")
    assert [batch.ordinal for batch in entered] == [0, 1]
    assert all(after[name].generation == info.generation for name, info in before.items())
    assert [entry.status for entry in again if entry.status] == [200, 200]  # of the third: input, manifest
    assert (status.counts.succeeded, len(house.simulator.accepted)) == (30, 3)


async def test_nothing_is_due_before_all_batches_are_there(house: House) -> None:
    """A batch that entered early may still be dropped, so it waits."""
    several = house.with_options(batch_rows=10)
    with several.client() as client:
        submission = client.submit(ROWS, model=MODEL, store="results")
        await interrupt(several, submission.id, after=2)

    batches = several.services.ledger.batches(submission.id)
    assert [batch.next_action_at for batch in batches] == [None, None]
    assert all(task is not TaskName.CREATE for task, _ in several.letters.waiting)


async def test_a_submission_parked_half_staged_goes_on_staging(house: House) -> None:
    """Enqueued again it is not taken for one whose batches are all there."""
    several = house.with_options(batch_rows=10)
    fault = Fault(method=INSERT, action=Action.REFUSE, status=403, match="00002", times=50)
    house.simulator.faults.add(fault)
    with several.client() as client:
        submission = client.submit(ROWS, model=MODEL, store="results", id="one")
        parked = await several.until_rest(submission.id)
        house.simulator.faults.clear()
        client.submit(ROWS, model=MODEL, store="results", id="one")
        status = await several.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert (status.counts.succeeded, len(house.simulator.accepted)) == (30, 3)


async def test_other_limits_after_a_restart_stage_anew(house: House) -> None:
    """Parts of two ways of splitting never mix: rows would be sent twice."""
    with house.client() as client:
        submission = client.submit(ROWS, model=MODEL, store="results")
        await interrupt(house.with_options(batch_rows=10), submission.id, after=2)
        status = await house.with_options(batch_rows=20).until_rest(submission.id)

        assert {one.key for one in client.results(submission.id)} == {row["key"] for row in ROWS}
    assert (status.batches, status.counts.succeeded) == (2, 30)


async def test_an_object_that_is_replaced_while_it_is_staged_is_read_anew(house: House) -> None:
    """The rows of two generations never mix."""
    several = house.with_options(batch_rows=10)
    uri = await put(house, "rows.jsonl", lines(ROWS))
    with several.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results")
        await interrupt(several, submission.id, after=2)
        await put(
            house, "rows.jsonl", lines([{"key": f"new{number}", "prompt": "x"} for number in range(25)])
        )
        status = await several.until_rest(submission.id)

        assert {one.key for one in client.results(submission.id)} == {f"new{number}" for number in range(25)}
    assert (status.batches, status.counts.succeeded) == (3, 25)


async def test_objects_are_pinned_by_the_first_look(house: House) -> None:
    """One that comes later, or is deleted and not missed, does not change what a restart stages."""
    await put(house, "p/a.jsonl", lines(ROWS[:3]))
    with house.client() as client:
        submission = client.submit("gs://staging/mine/p/*.jsonl", model=MODEL, store="results")
        await interrupt(house, submission.id, after=0)
        await put(house, "p/b.jsonl", lines(ROWS[3:]))
        status = await house.until_rest(submission.id)

    assert status.counts.succeeded == 3


async def test_a_cancel_while_staging_stops_it(house: House) -> None:
    """What was staged is withdrawn, and nothing more is uploaded."""
    several = house.with_options(batch_rows=10)
    with several.client() as client:
        submission = client.submit(ROWS, model=MODEL, store="results")
        await interrupt(several, submission.id, after=1)
        client.cancel(submission.id)
        status = await several.until_rest(submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert status.batches_by_state == {BatchState.WITHDRAWN: 1}
    assert house.simulator.accepted == []


async def test_rows_set_aside_end_as_failed_with_their_reason(house: House) -> None:
    """Rows in are rows out: the good ones are answered, the bad ones say why, the job gets none of these."""
    bad: list[object] = [
        {"key": "bad", "prompt": ""},
        {"key": "worse"},
        {"key": "k0", "prompt": "a second k0"},
    ]
    with house.client() as client:
        submission = client.submit([*ROWS, *bad], model=MODEL, store="results", policy=Policy(set_aside=True))
        status = await house.until_rest(submission.id)
        failed = {
            one.key: one.error_message or ""
            for one in client.results(submission.id, outcomes=[Outcome.FAILED])
        }

    assert (status.counts.succeeded, status.counts.failed, status.sent_rows) == (30, 3, 33)
    assert set(failed) == {"bad", "worse", "k0~33"}
    assert "prompt" in failed["bad"]
    assert "duplicate_key" in failed["k0~33"]


async def test_rows_set_aside_of_an_object_end_as_failed(house: House) -> None:
    """The second reading sets aside the same rows as the check."""
    uri = await put(house, "rows.jsonl", lines(ROWS[:3]) + b'{"key":"bad"}\nno json\n')
    with house.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results", policy=Policy(set_aside=True))
        status = await house.until_rest(submission.id)

    assert (status.counts.succeeded, status.counts.failed) == (3, 2)


async def test_conflicting_rows_run_in_batches_of_their_own(house: House) -> None:
    """Google's import refuses both shapes in one file, and takes each of them."""
    schema = {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}
    one = {**request("a"), "generationConfig": {"responseJsonSchema": {"anyOf": {"type": "string"}}}}
    other = {**request("b"), "generationConfig": {"responseJsonSchema": {"anyOf": {"type": ["string"]}}}}
    rows = [{"key": f"{n}", "request": (one, other, request(str(schema)))[n % 3]} for n in range(30)]
    with house.client() as client:
        submission = client.submit(rows, model=MODEL, store="results", policy=Policy(split_conflicts=True))
        status = await house.until_rest(submission.id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 30)
    assert status.batches == len(house.simulator.accepted) > 1


@pytest.mark.parametrize("echo", [Echo.SIBLINGS, Echo.NONE, Echo.COERCED])
async def test_objects_used_as_they_are_are_matched_by_their_own_keys(house: House, echo: Echo) -> None:
    """By the key when it comes back, else by the request; only manifests are uploaded."""
    house.simulator.behaviours.set(Behaviour(echo=echo))
    one = [{"custom": f"{n:03}", "request": request(f"Say {n}")} for n in range(12)]
    two = [{"custom": f"r1-{n}", "request": request(f"Tell {n}")} for n in range(5)]
    for name, rows in (("p/a.jsonl", one), ("p/b.jsonl", two)):
        await put(house, name, lines(rows))
    with house.client() as client:
        submission = client.submit(
            "gs://staging/mine/p/*", model=MODEL, store="lines", key="custom", policy=Policy(as_is=True)
        )
        status = await house.until_rest(submission.id)
        texts = {result.key: result.text for result in client.results(submission.id)}

    assert (status.batches, status.counts.succeeded) == (2, 17)
    assert set(texts) == {str(row["custom"]) for row in [*one, *two]}
    assert not [name for name in await stored(house, "vertexq/") if name.endswith("input.jsonl")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"key":"a","prompt":"x"}\n', 'must have a "request"'),
        (lines([{"key": {"a": 1}, "request": request("x")}]), "key"),
        (lines([{"my-id": "a", "request": request("x")}]), "'my-id' is no name of a column"),
        (lines([{"id": "a", "Id": "b", "request": request("x")}]), "differ by their case only"),
        (lines([{"id": each, "request": request("x")} for each in ("a", 1)]), "a number here and text in an"),
        (lines([{each: "a", "request": request("x")} for each in ("id", "ID")]), "in another case"),
        (
            lines(
                [
                    {"request": {**request("a"), "generationConfig": {"stopSequences": "x"}}},
                    {"request": {**request("a"), "generationConfig": {"stopSequences": ["x"]}}},
                ]
            ),
            "have one path with two types",
        ),
    ],
)
async def test_an_object_that_cannot_be_used_as_it_is_is_rejected(
    house: House, data: bytes, says: str
) -> None:
    """The sentence says what to do instead."""
    uri = await put(house, "rows.jsonl", data)
    with house.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results", policy=Policy(as_is=True))
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.REJECTED
    assert says in status.reason


async def test_an_object_replaced_after_its_check_is_not_paid_for(house: House) -> None:
    """The rows that nobody checked are not sent; a person decides."""
    uri = await put(house, "rows.jsonl", lines([{"key": "a", "request": request("a")}]))
    with house.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results", policy=Policy(as_is=True))
        await stage(house.services, submission.id)
        await put(house, "rows.jsonl", lines([{"key": "b", "request": request("b")}]))
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.PARKED
    assert "was replaced or deleted after it had been checked" in status.reason
    assert house.simulator.accepted == []
