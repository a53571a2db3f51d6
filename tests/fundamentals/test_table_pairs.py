"""Rows from Cloud Storage or a table, answers by way of either: all four pairs give the same account."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import MODEL, SOURCE, asked, filled
from tests.fundamentals.tables_house import CLAUDE, DATASET, LLAMA, dataset
from vertexq import Outcome, Policy, Result, SubmissionState
from vertexq.model import GcsUri
from vertexq.simulator.behaviour import Behaviour

ROWS = 80
HARD = Behaviour(bad_rows=0.1, blocked_rows=0.1, cut_rows=0.1, thinking_rows=0.2, repeated_rows=0.1)
PAIRS = [(source, target) for source in ("gs", "bq") for target in ("gs", "bq")]


async def placed(house: House, source: str) -> str:
    """Put the rows where they are to come from; return the address."""
    await filled(house, asked(ROWS))
    if source == "bq":
        return SOURCE
    uri = GcsUri(bucket="staging", name="mine/rows.jsonl")
    lines = (orjson.dumps({"key": row["key"], "request": row["request"]}) for row in asked(ROWS))
    await house.services.storage.upload(uri, b"\n".join(lines))
    return str(uri)


async def ran(house: House, source: str, target: str) -> dict[str, Result]:
    """Run the rows from a source to a target; return the results by key."""
    uri = await placed(house, source)
    destination = "bq://demo.rows" if target == "bq" else ""
    with house.client() as client:
        id_ = client.submit(uri, model=MODEL, store="results", destination=destination).id
        status = await house.until_rest(id_)
        found = {one.key: one for one in await asyncio.to_thread(lambda: list(client.results(id_)))}

    assert status.state is SubmissionState.DONE, status.reason
    assert status.counts.total == len(found) == ROWS
    return found


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_every_pair_accounts_for_every_row(house: House, source: str, target: str) -> None:
    """Under the producer's keys, with what stood beside the requests where they came from a table."""
    house.simulator.behaviours.set(HARD)

    found = await ran(house, source, target)

    assert set(found) == {f"k{number}" for number in range(ROWS)}
    assert {(one.source_object or "").partition("://")[0] for one in found.values()} == {target}
    assert found["k3"].extra == ({"city": "Zürich", "sold": 3} if source == "bq" else None)
    assert {one.outcome for one in found.values()} == {Outcome.SUCCEEDED, Outcome.BLOCKED, Outcome.FAILED}


@pytest.mark.parametrize(("source", "target"), [("bq", "gs"), ("bq", "bq")])
async def test_rows_of_a_table_are_tried_again_with_either_target(
    house: House, source: str, target: str
) -> None:
    """The second round reads a table of the rows that are left."""
    house.simulator.behaviours.set(Behaviour(quota_rows=0.3, missing_rows=0.1))
    patient = house.with_options(retry_rounds=4, retry_wait_s=0.02)

    found = await ran(patient, source, target)

    rounds = {one.attempt for one in found.values() if one.ok}
    assert rounds > {1}
    assert sum(one.ok for one in found.values()) > ROWS * 0.9


_CHAT = {"messages": [{"role": "user", "content": "Say it"}], "max_tokens": 64}
FORMS: dict[str, tuple[str, str, dict[str, object] | str]] = {  # the columns with key and request, a request
    "text-embedding-005": ("key", "content", "the same text"),
    CLAUDE: ("custom_id", "request", {**_CHAT, "anthropic_version": "vertex-2023-10-16"}),
    LLAMA: ("custom_id", "body", {**_CHAT, "model": LLAMA}),
}


@pytest.mark.parametrize("model", FORMS)
async def test_rows_with_the_same_request_are_told_apart_from_table_to_table(
    house: House, model: str
) -> None:
    """By the key that stands beside the request, also with models that echo none in files."""
    key, column, request = FORMS[model]
    kind = "STRING" if isinstance(request, str) else "JSON"
    rows = [{key: f"k{number}", column: request, "sold": number} for number in range(ROWS)]
    await filled(house, rows, {key: "STRING", column: kind, "sold": "INTEGER"})
    house.simulator.behaviours.set(Behaviour(missing_rows=0.2, repeated_rows=0.2))
    with house.client() as client:
        id_ = client.submit(SOURCE, model=model, store="results", destination="bq://demo.rows", key=key).id
        status = await house.until_rest(id_)
        found = {one.key: one for one in client.results(id_)}
        [batch] = house.services.ledger.batches(id_)

    assert set(found) == {f"k{number}" for number in range(ROWS)}
    assert status.counts.succeeded == batch.stats.successful
    assert {one.extra["sold"] for one in found.values() if one.extra} == {
        int(one.key[1:]) for one in found.values() if one.ok
    }


async def test_lines_that_are_used_as_they_are_are_matched_by_their_own_keys(house: House) -> None:
    """The key is a column of the output table, under the name that the producer gave it."""
    uri = GcsUri(bucket="staging", name="mine/own.jsonl")
    lines = (orjson.dumps({"id": row["key"], "request": row["request"]}) for row in asked(ROWS))
    await house.services.storage.upload(uri, b"\n".join(lines))
    async with dataset(house):
        with house.client() as client:
            id_ = client.submit(
                str(uri), model=MODEL, store="results", destination=DATASET, key="id",
                policy=Policy(as_is=True),
            ).id  # fmt: skip
            status = await house.until_rest(id_)
            keys = {one.key for one in client.results(id_)}

    assert status.counts.succeeded == ROWS, status.reason
    assert keys == {f"k{number}" for number in range(ROWS)}
