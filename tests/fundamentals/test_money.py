"""What was spent: the sum over a submission's rows in its store, whatever became of job and worker."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import orjson
import pytest

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import let_deadline_pass
from vertexq import Client, SubmissionState
from vertexq.ledger import OutputRange, Record
from vertexq.model import PUSD_PER_USD, Batch, GcsUri, OnDeadline
from vertexq.prices import PriceBook
from vertexq.results import Result
from vertexq.simulator.behaviour import Behaviour
from vertexq.states import BatchState, JobState
from vertexq.steps.ranges import RangeLoad

MODEL = "gemini-2.5-flash"
PROMPTS = [f"Say {number}" for number in range(60)]
MIXED = Behaviour(
    bad_rows=0.25, missing_rows=0.1, blocked_rows=0.1, safety_rows=0.1, no_usage_rows=0.1, no_total_rows=0.1,
    cut_rows=0.1, thinking_rows=0.3, repeated_rows=0.3, corrupt_rows=0.1, shards=3, incremental_rows=7,
)  # fmt: skip


def pusd_of(results: list[Result]) -> int:
    """Return what rows cost by their own column, in pico-dollars."""
    return sum(round(one.cost_usd * PUSD_PER_USD) for one in results if one.cost_usd is not None)


def check_account(house: House, client: Client, id: str) -> list[Result]:  # noqa: A002
    """Compare the submission's cost and tokens with the sums over its rows in the store; return the rows."""
    submission, rows = house.services.ledger.submission(id), list(client.results(id))
    counted = [one for one in rows if one.cost_usd is not None]
    assert submission.cost_pusd == pusd_of(rows)
    assert submission.cost_pusd == sum(batch.cost_pusd for batch in house.services.ledger.batches(id))
    assert submission.usage.total_tokens == sum(one.total_tokens or 0 for one in counted)
    assert client.get(id).cost_usd == submission.cost_pusd / PUSD_PER_USD
    return rows


async def until_ended(house: House, client: Client, id: str) -> Batch:  # noqa: A002
    """Go on until the only job of a submission has ended and nothing of it has been read."""
    client.submit(["a", "b", "c"], model=MODEL, store="results", id=id)
    ledger = house.services.ledger

    def ended() -> bool:
        return bool(found := ledger.batches(id)) and found[0].state is BatchState.ENDED

    await house.until(ended)
    return ledger.batches(id)[0]


def line(index: int, *, prompt: int | None, answer: str | None) -> bytes:
    """Return an output line of row ``index``: an answer of two tokens, or a block that was counted."""
    candidate = {"content": {"parts": [{"text": answer}]}, "finishReason": "STOP"}
    usage = {} if prompt is None else {"promptTokenCount": prompt, "candidatesTokenCount": 2 if answer else 0}
    response = {
        "candidates": [candidate if answer else {"finishReason": "SAFETY"}], "usageMetadata": usage,
    }  # fmt: skip
    return orjson.dumps({"key": f"r{index}-{index}", "status": "", "response": response}) + b"\n"


async def write_output(house: House, batch: Batch, **objects: bytes) -> None:
    """Let a job's output be these objects and no others."""
    prefix = GcsUri.parse(batch.output_directory.rstrip("/") + "/")
    async for found in house.services.storage.list(prefix):
        await house.services.storage.delete(found.uri)
    for name, body in objects.items():
        await house.services.storage.upload(prefix.join(f"{name}.jsonl"), body)


async def whole(house: House, batch: Batch) -> OutputRange:
    """Return the range that is all of a job's predictions.jsonl."""
    prefix = GcsUri.parse(batch.output_directory)
    found = await house.services.storage.info(prefix.join("predictions.jsonl"))
    return OutputRange(
        batch_id=batch.id, object_name=str(found.uri), generation=found.generation, start=0,
        end=found.size_bytes, size_bytes=found.size_bytes, crc32c=found.crc32c,
    )  # fmt: skip


async def test_every_row_is_paid_for_once(house: House) -> None:
    """Rows of every outcome, doubled lines, shards: the sum is that of the rows that the store holds."""
    house.simulator.behaviours.set(MIXED)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)
        rows = check_account(house, client, submission.id)

    assert status.cost_usd
    assert len({one.outcome for one in rows}) >= 4
    assert any(one.ok and one.cost_usd is None for one in rows)


async def test_interrupted_repeated_and_shuffled_work_is_settled_once(house: House) -> None:
    """Slices of a row each, every hint twice and in any order: not a token is counted twice."""
    sliced = house.with_options(slice_s=0.0, chunk_rows=3, chunk_bytes=1, batch_rows=25).muddled(Random(3))
    house.simulator.behaviours.set(MIXED)
    with sliced.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="lines")
        status = await sliced.until_rest(submission.id)
        check_account(sliced, client, submission.id)

    assert status.batches == 3


async def test_a_worker_that_dies_between_store_and_ledger_is_paid_for_once(house: House) -> None:
    """The rows were committed and the ledger was not told; the next worker takes the sum from the store."""
    with house.client() as client:
        batch = await until_ended(house, client, "died")
        ledger = house.services.ledger
        claim = ledger.claim(Record.BATCH, batch.id, owner="doomed", lease_s=600)
        assert claim is not None
        await write_output(house, batch, predictions=line(0, prompt=100, answer="Yes."))
        (part,) = ledger.pin_ranges(batch, [await whole(house, batch)], claim=claim)
        assert await (await RangeLoad.begin(house.services, batch, part, claim)).run(math.inf)
        ledger.release(claim)

        await house.until_rest("died")
        check_account(house, client, "died")

    assert ledger.submission("died").cost_pusd == 100 * 150_000 + 2 * 1_250_000


@pytest.mark.parametrize("apart", [False, True], ids=["one object", "two objects"])
async def test_a_row_that_was_replaced_is_not_paid_for_twice(house: House, *, apart: bool) -> None:
    """A block that Google counted, then an answer, in one object or in two: the answer counts alone."""
    first = line(0, prompt=1_000, answer=None) + line(1, prompt=500, answer=None)
    second = line(0, prompt=10, answer="Yes.") + line(2, prompt=None, answer="No.")
    with house.client() as client:
        batch = await until_ended(house, client, "twice")
        if apart:
            await write_output(house, batch, predictions_1=first, predictions_2=second)
        else:
            await write_output(house, batch, predictions=first + second)
        sliced = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
        await sliced.until_rest("twice")
        rows = check_account(house, client, "twice")

    paid = {one.key: (one.outcome, one.cost_usd) for one in rows}
    assert paid == {
        "0": ("succeeded", (10 * 150_000 + 2 * 1_250_000) / PUSD_PER_USD),
        "1": ("blocked", 500 * 150_000 / PUSD_PER_USD),
        "2": ("succeeded", None),
    }


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(fail_code=13, fail_at=0.5),
        Behaviour(partial=True, missing_rows=0.3),
        Behaviour(cancel_loses=True),
    ],
    ids=["failed", "partly succeeded", "succeeded"],
)
async def test_finished_rows_of_a_job_are_paid_for_however_it_ends(
    house: House, behaviour: Behaviour
) -> None:
    """Google charges rows that were finished, and only those."""
    house.simulator.behaviours.set(behaviour)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)
        rows = check_account(house, client, submission.id)

    assert status.cost_usd
    assert status.counts.succeeded == sum(one.cost_usd is not None for one in rows) > 0


async def test_a_cancelled_submission_is_paid_for_as_far_as_it_came(slow_house: House) -> None:
    """The rows that were finished when it was cancelled, and no others."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        client.cancel(submission.id)
        status = await slow_house.until_rest(submission.id)
        rows = check_account(slow_house, client, submission.id)

    assert status.state is SubmissionState.CANCELLED
    assert status.cost_usd
    assert 0 < sum(one.cost_usd is not None for one in rows) < len(PROMPTS)


async def test_rows_that_run_again_after_a_deadline_are_paid_for_once(slow_house: House) -> None:
    """The first job's finished rows and the second job's rows: no row is in both."""
    with slow_house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        await slow_house.until(lambda: client.get(submission.id).answered_rows > 0)
        let_deadline_pass(slow_house, submission.id, OnDeadline.RERUN)
        status = await slow_house.until_rest(submission.id)
        rows = check_account(slow_house, client, submission.id)

    assert status.batches == len(slow_house.simulator.accepted) == 2
    assert status.counts.succeeded == sum(one.cost_usd is not None for one in rows) == len(PROMPTS)
    assert all(batch.cost_pusd for batch in slow_house.services.ledger.batches(submission.id))


async def test_an_expired_job_is_paid_for_as_far_as_it_came(house: House) -> None:
    """What it had written before the end is read, and paid for; the rest fails."""
    with house.client() as client:
        batch = await until_ended(house, client, "late")
        house.services.ledger.update_batch(house.services.ledger.batch(batch.id), job_state=JobState.EXPIRED)
        await write_output(house, batch, predictions=line(1, prompt=7, answer="Yes."))
        status = await house.until_rest("late")
        check_account(house, client, "late")

    assert (status.counts.succeeded, status.counts.failed) == (1, 2)
    assert status.cost_usd == (7 * 150_000 + 2 * 1_250_000) / PUSD_PER_USD


async def test_a_submission_that_was_never_sent_costs_nothing(house: House) -> None:
    """Nothing was charged, and that is known."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        client.cancel(submission.id)
        status = await house.until_rest(submission.id)

    assert (status.cost_usd, house.simulator.accepted) == (0.0, [])


def priced_by(house: House, prices: PriceBook) -> House:
    """Return the same house with other prices."""
    return replace(house, services=replace(house.services, prices=prices))


async def test_without_a_price_the_cost_is_unknown_and_not_nothing(house: House) -> None:
    """In the status, in JSON and in every row."""
    unpriced = priced_by(house, PriceBook(()))
    with unpriced.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await unpriced.until_rest(submission.id)
        rows = list(client.results(submission.id))

    assert (status.cost_usd, status.to_json()["cost_usd"]) == (None, None)
    assert status.cost == "unknown (no price for gemini-2.5-flash)"
    assert {one.cost_usd for one in rows} == {None}
    assert status.usage.unpriced_tokens == status.usage.total_tokens > 0


def capped(house: House, usd: float | None) -> House:
    """Return the same house with ten rows a job and a daily cap; a job is estimated at about 0.0128 USD."""
    cap_pusd = None if usd is None else round(usd * PUSD_PER_USD)
    options = replace(house.services.options, batch_rows=10, daily_cap_pusd=cap_pusd)
    return replace(house, services=replace(house.services, options=options))


async def test_a_daily_cap_parks_with_its_numbers_and_a_higher_one_goes_on(house: House) -> None:
    """What was sent ends and is paid for; the rest waits for a person, and is sent once."""
    poor, rich = capped(house, 0.02), capped(house, 1.0)
    with house.client() as client:
        client.submit(PROMPTS[:30], model=MODEL, store="results", id="capped")
        parked = await poor.until_rest("capped")
        accepted = len(house.simulator.accepted)
        client.submit(PROMPTS[:30], model=MODEL, store="results", id="capped")
        done = await rich.until_rest("capped")
        check_account(house, client, "capped")

    assert (parked.state, accepted) == (SubmissionState.PARKED, 1)
    assert "the project demo has spent 0.0128" in parked.reason
    assert "of its daily cap of 0.020000 USD" in parked.reason
    assert (done.state, done.counts.succeeded, len(house.simulator.accepted)) == (SubmissionState.DONE, 30, 3)


async def test_what_was_not_used_of_an_estimate_is_free_again(house: House) -> None:
    """Answers are shorter than their limit: one job after the other fits into a cap that two never would."""
    serial = capped(house, 0.02)
    options = replace(serial.services.options, running_jobs=1)
    serial = replace(serial, services=replace(serial.services, options=options))
    with house.client() as client:
        for number in range(3):
            client.submit(PROMPTS[:10], model=MODEL, store="results", id=f"day-{number}")
            status = await serial.until_rest(f"day-{number}")
            assert status.state is SubmissionState.DONE

    assert house.services.ledger.spent_today("demo") < round(0.02 * PUSD_PER_USD)


async def test_a_budget_parks_before_anything_is_uploaded_and_a_larger_one_goes_on(house: House) -> None:
    """60 rows may cost 0.077 USD: the sentence says both numbers; with more money the same id is sent."""
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="dear", budget_usd=0.05)
        parked = await house.until_rest("dear")
        sent = len(house.simulator.accepted)
        client.submit(PROMPTS, model=MODEL, store="results", id="dear", budget_usd=0.10)
        done = await house.until_rest("dear")

    assert (parked.state, parked.budget_usd, sent) == (SubmissionState.PARKED, 0.05, 0)
    assert parked.reason.startswith("it may cost 0.07")
    assert "its budget is 0.050000 USD" in parked.reason
    assert (done.state, done.budget_usd, len(house.simulator.accepted)) == (SubmissionState.DONE, 0.1, 1)
    assert done.estimate is not None
    assert done.cost_usd is not None
    assert done.cost_usd < (done.estimate.cost_pusd or 0) / PUSD_PER_USD < 0.1


async def test_a_budget_needs_a_price(house: House) -> None:
    """What cannot be kept is not promised: the sentence says what to do."""
    unpriced = priced_by(house, PriceBook(()))
    with unpriced.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results", budget_usd=5)
        status = await unpriced.until_rest(submission.id)

    assert (status.state, house.simulator.accepted) == (SubmissionState.PARKED, [])
    assert status.reason.startswith(
        "no price for gemini-2.5-flash; give one in VERTEXQ_PRICES or leave the budget out"
    )


async def test_the_limits_that_rows_set_make_the_estimate(house: House) -> None:
    """A limit on the answer is the most that Google may charge for; without it an assumption stands in."""
    request = {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}
    rows = [{"request": {**request, "generationConfig": {"maxOutputTokens": 10}}}, {"request": request}]
    with house.client() as client:
        submission = client.submit(rows, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    found = status.estimate
    assert found is not None
    assert submission.estimate == found
    assert (found.rows, found.output_tokens, found.assumed_rows) == (2, 10 + 1_024, 1)
    assert found.cost_pusd == found.input_tokens * 150_000 + found.output_tokens * 1_250_000


async def test_the_estimate_of_a_submission_is_that_of_its_batches(house: House) -> None:
    """What was estimated as a whole is what the jobs may cost together."""
    several = house.with_options(batch_rows=25)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await several.until_rest(submission.id)

    estimates = [batch.estimate for batch in house.services.ledger.batches(submission.id)]
    assert status.estimate is not None
    assert status.estimate.cost_pusd == sum(one.cost_pusd or 0 for one in estimates if one)
    assert status.estimate.tokens == sum(one.tokens for one in estimates if one)
