"""Rows from Cloud Storage or a table, answers by way of either: all four pairs give the same account."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import MODEL, SOURCE, asked, filled
from vertexq import Outcome, Result, SubmissionState
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
