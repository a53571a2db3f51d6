"""Tables as sources for every family that reads them; what is left of one may be answered online."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import asked, filled, submitted
from vertexq import SubmissionState
from vertexq.simulator.behaviour import Behaviour

MESSAGES = [{"role": "user", "content": "Say"}]
CLAUDE = {"messages": MESSAGES, "max_tokens": 50, "anthropic_version": "vertex-2023-10-16"}
LLAMA = "llama-4-maverick-17b-128e-instruct-maas"


@pytest.mark.parametrize(
    ("model", "column", "kind", "request_"),
    [
        ("gemini-2.5-flash", "request", "STRING", '{"contents": [{"parts": [{"text": "Say"}]}]}'),
        ("anthropic/claude-sonnet-4-5", "request", "JSON", CLAUDE),
        (f"meta/{LLAMA}", "body", "JSON", {"model": f"meta/{LLAMA}", "messages": MESSAGES, "max_tokens": 50}),
        ("text-embedding-005", "content", "STRING", "Say"),
    ],
)
async def test_each_family_that_reads_tables_answers_their_rows(
    house: House, model: str, column: str, kind: str, request_: Any
) -> None:
    """Under the producer's keys, with what stood beside the request; also where all requests are the same."""
    rows = [{"key": f"k{n}", column: request_, "sold": n} for n in range(5)]
    await filled(house, rows, {"key": "STRING", column: kind, "sold": "INTEGER"})

    status = await submitted(house.with_options(batch_rows=3), model=model)

    with house.client() as client:
        found = {row.key: row for row in client.results(status.id)}
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 5), status.reason
    assert sorted(found) == [f"k{n}" for n in range(5)]
    assert {key: (row.extra or {})["sold"] for key, row in found.items()} == {f"k{n}": n for n in range(5)}


async def test_the_last_rows_of_a_table_are_answered_online(house: House) -> None:
    """Their requests are read from the staged table, one by one."""
    await filled(house, asked(6))
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5), match="-0")

    status = await submitted(house, finish_online=6)

    with house.client() as client:
        found = {row.key: row for row in client.results(status.id)}
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 6), status.reason
    assert status.online_rows > 0
    assert sorted(found) == [f"k{n}" for n in range(6)]
