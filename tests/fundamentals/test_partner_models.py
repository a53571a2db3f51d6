"""Claude and open models from rows to answers: their own keys, their limits, their places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import filled, submitted
from vertexq import BadInput, Outcome, Policy, Result, Status, SubmissionState
from vertexq.model import GcsUri
from vertexq.simulator.behaviour import Behaviour

CLAUDE = "anthropic/claude-haiku-4-5"
LLAMA = "meta/llama-3.3-70b-instruct-maas"
MESSAGES = [{"role": "user", "content": "Say one"}]


async def run(house: House, rows: str | Iterable[object], **asked: Any) -> tuple[Status, dict[str, Result]]:
    """Submit rows, go on until nothing more happens, and read the results by key."""
    with house.client() as client:
        given: dict[str, Any] = {"store": "results", **asked}
        submission = client.submit(rows, **given)
        status = await house.until_rest(submission.id)
        return status, {result.key: result for result in client.results(submission.id)}


async def test_refusals_of_claude_are_blocks(house: House) -> None:
    """Rows that a filter or the model declined are final; those that were cut are answers."""
    house.simulator.behaviours.set(Behaviour(blocked_rows=0.2, cut_rows=0.2, quota_rows=0.1))

    status, found = await run(
        house, [f"Say {n}" for n in range(100)], model=CLAUDE, parameters={"max_tokens": 99}
    )

    assert {(row.outcome, row.reason) for row in found.values()} == {
        (Outcome.SUCCEEDED, None),
        (Outcome.SUCCEEDED, "max_tokens"),
        (Outcome.BLOCKED, "refusal"),
        (Outcome.FAILED, "RESOURCE_EXHAUSTED"),
    }
    assert status.counts.blocked > 0 < status.counts.failed
    assert status.cost_usd


@pytest.mark.parametrize(("model", "word"), [(CLAUDE, "max_tokens"), (LLAMA, "length")])
async def test_an_answer_that_was_cut_is_said_to_be_truncated(house: House, model: str, word: str) -> None:
    """Whatever word its model has for that."""
    house.simulator.behaviours.set(Behaviour(cut_rows=1.0))

    _, found = await run(house, ["Say one"], model=model, parameters={"max_tokens": 99})

    assert [(row.truncated, row.finish_reason, row.reason) for row in found.values()] == [(True, word, word)]


@pytest.mark.parametrize("model", [CLAUDE, LLAMA])
async def test_answers_without_our_id_are_known_by_nothing(house: House, model: str) -> None:
    """A producer's key of 500 bytes comes back as it went: nobody says how long an id may be."""
    key = "k" * 500

    status, found = await run(house, [{"key": key, "messages": MESSAGES, "max_tokens": 20}], model=model)

    assert (status.counts.succeeded, list(found)) == (1, [key])


@pytest.mark.parametrize(
    ("model", "column", "extra"), [(CLAUDE, "request", "anthropic_version"), (LLAMA, "body", "model")]
)
async def test_rows_of_a_table_are_answered(house: House, model: str, column: str, extra: str) -> None:
    """Under their keys, with what stood beside them."""
    asked = {"messages": MESSAGES, "max_tokens": 20, extra: "vertex-2023-10-16"}
    columns = {"custom_id": "STRING", column: "JSON", "city": "STRING"}
    await filled(house, [{"custom_id": f"k{n}", column: asked, "city": "Bern"} for n in range(5)], columns)

    status = await submitted(house, model=model, key="custom_id")

    with house.client() as client:
        found = {row.key: row for row in client.results(status.id)}
    assert (status.counts.succeeded, sorted(found)) == (5, [f"k{n}" for n in range(5)]), status.reason
    assert {str(row.extra) for row in found.values()} == {"{'city': 'Bern'}"}


async def test_a_row_of_a_table_without_a_limit_is_named(house: House) -> None:
    """What stays in BigQuery cannot be filled in, so it is refused before a job is made."""
    await filled(
        house, [{"key": "k", "request": {"messages": MESSAGES}}], {"key": "STRING", "request": "JSON"}
    )

    status = await submitted(house, model=CLAUDE)

    assert status.state is SubmissionState.REJECTED
    assert 'there is no "max_tokens"' in status.reason
    assert house.simulator.accepted == []


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"model": CLAUDE, "location": "global"}, "Claude models have no batch jobs on global"),
        ({"model": LLAMA, "location": "global"}, "open models have no batch jobs on global"),
        ({"model": CLAUDE}, 'there is no "max_tokens"'),
        ({"model": CLAUDE, "family": "open-model"}, "is not one of the family open-model"),
        ({"model": "anthropic/claude-x", "parameters": {"top_k": 1}}, "no parameter for all rows"),
        ({"model": "claude-haiku-4-5"}, "anthropic/claude-sonnet-4-5"),
    ],
)
async def test_what_google_would_refuse_is_refused_at_once(
    house: House, asked: dict[str, Any], sentence: str
) -> None:
    """With the sentence, and before anything is sent: the simulator has heard of nothing."""
    with pytest.raises(BadInput, match=sentence):
        await run(house, ["Say one"], **asked)

    assert house.simulator.faults.log() == []


@pytest.mark.parametrize(("model", "limit"), [(CLAUDE, {"max_tokens": 9}), (LLAMA, {})])
async def test_a_worker_on_global_refuses_them(house: House, model: str, limit: dict[str, Any]) -> None:
    """Also when only the worker says that jobs run on global: rejected before anything is uploaded."""
    there = house.with_options(location="global")  # type: ignore[arg-type]

    status, _ = await run(there, ["Say one"], model=model, parameters=limit)

    assert status.state is SubmissionState.REJECTED
    assert "no batch jobs on global" in status.reason
    assert there.simulator.faults.log("storage.objects.insert") == []


@pytest.mark.parametrize(
    ("model", "column", "needed"), [(CLAUDE, "request", "anthropic_version"), (LLAMA, "body", "model")]
)
async def test_an_object_of_theirs_is_used_as_it_is(
    house: House, model: str, column: str, needed: str
) -> None:
    """By the ids in it; what would be filled in must be there."""
    asked = {"messages": MESSAGES, "max_tokens": 20}
    rows = [{"custom_id": f"id-{n}", column: {**asked, needed: "vertex-2023-10-16"}} for n in range(3)]
    uri = GcsUri(bucket="staging", name="theirs.jsonl")
    await house.services.storage.upload(uri, b"".join(orjson.dumps(row) + b"\n" for row in rows))
    lacking = GcsUri(bucket="staging", name="lacking.jsonl")
    await house.services.storage.upload(lacking, orjson.dumps({"custom_id": "a", column: asked}))
    as_is: dict[str, Any] = {"model": model, "key": "custom_id", "policy": Policy(as_is=True)}

    status, found = await run(house, str(uri), **as_is)
    refused, _ = await run(house, str(lacking), **as_is)

    assert (status.counts.succeeded, sorted(found)) == (3, ["id-0", "id-1", "id-2"])
    assert refused.state is SubmissionState.REJECTED
    assert f'there is no "{needed}" in the request, where a line stays as it is' in refused.reason


async def test_no_more_than_four_jobs_of_claude_run_at_once(slow_house: House) -> None:
    """Google runs four for a project; the others wait for their turn."""
    house = slow_house.with_options(batch_rows=2)
    with house.client() as client:
        sent = client.submit(
            [f"Say {n}" for n in range(12)], model=CLAUDE, store="results", parameters={"max_tokens": 9}
        )
        most = 0

        def rested() -> bool:
            nonlocal most
            batches = house.services.ledger.batches(sent.id)
            most = max(most, sum(batch.state in ("sending", "bound") for batch in batches))
            return client.get(sent.id).resting

        await house.until(rested)
        counts = client.get(sent.id).counts

    assert (counts.succeeded, most) == (12, 4)
