"""Ids, sources, stores: what a producer may rely on."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.fundamentals.house import House
from vertexq import BadSource, IdConflict, SubmissionState, UnknownModel, UnknownStore
from vertexq.model import GcsUri

MODEL = "gemini-2.5-flash"


async def test_the_same_id_twice_is_one_submission(house: House) -> None:
    """A producer that crashed may simply enqueue again."""
    with house.client() as client:
        first = client.submit(["a", "b"], model=MODEL, store="results", id="night-1")
        again = client.submit(["a", "b"], model=MODEL, store="results", id="night-1")

        assert again.id == first.id
        assert len(client.list()) == 1


async def test_the_same_id_with_other_rows_is_an_error(house: House) -> None:
    """An id stands for its content; the error says so."""
    with house.client() as client:
        client.submit(["a", "b"], model=MODEL, store="results", id="night-1")

        with pytest.raises(IdConflict, match="with other content"):
            client.submit(["a", "c"], model=MODEL, store="results", id="night-1")


async def test_without_an_id_each_call_is_a_new_submission(house: House) -> None:
    """The same rows may be wanted twice."""
    with house.client() as client:
        ids = {client.submit(["a"], model=MODEL, store="results").id for _ in range(3)}

    assert len(ids) == 3


async def test_keys_come_back_with_their_answers(house: House) -> None:
    """The field that the producer names holds the row's key, and it matches its own answer."""
    rows = [{"sku": f"sku/{number}", "prompt": f"Describe {number}"} for number in range(7)]
    with house.client() as client:
        submission = client.submit(rows, model=MODEL, store="lines", key="sku")
        await house.until_rest(submission.id)

        assert {one.key for one in client.results(submission.id)} == {row["sku"] for row in rows}


async def test_a_file_in_cloud_storage_is_a_source(house: House) -> None:
    """A gs:// source is checked, split and answered like any other."""
    lines = "\n".join(json.dumps({"key": f"k{n}", "request": _request(f"Say {n}")}) for n in range(9))
    uri = GcsUri(bucket="staging", name="mine/prompts.jsonl")
    await house.services.storage.upload(uri, lines.encode())

    with house.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results")
        status = await house.until_rest(submission.id)

        assert status.counts.succeeded == 9
        assert {one.key for one in client.results(submission.id)} == {f"k{n}" for n in range(9)}


async def test_a_bad_line_in_cloud_storage_rejects_the_submission(house: House) -> None:
    """Nothing is sent of a source that is not whole, and the reason names the line."""
    uri = GcsUri(bucket="staging", name="mine/bad.jsonl")
    await house.services.storage.upload(uri, b'{"prompt":"fine"}\n{"prompt":')

    with house.client() as client:
        submission = client.submit(str(uri), model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.REJECTED
    assert "line 2: not valid JSON" in status.reason
    assert house.simulator.accepted == []


async def test_large_submissions_become_several_jobs(house: House) -> None:
    """A batch holds no more rows than the setting says; every row is answered once."""
    small = house.with_options(batch_rows=10)
    with small.client() as client:
        submission = client.submit([f"Say {n}" for n in range(25)], model=MODEL, store="results")
        status = await small.until_rest(submission.id)

        assert (status.batches, status.counts.succeeded) == (3, 25)
        assert len({one.key for one in client.results(submission.id)}) == 25


async def test_a_submission_in_the_callers_transaction_exists_only_if_it_commits(house: House) -> None:
    """Enqueueing is part of the caller's own work, or it never happened."""
    connection = sqlite3.connect(house.home / "ledger.db")
    with house.client() as client:
        lost = client.submit(["a"], model=MODEL, store="results", connection=connection)
        connection.rollback()
        kept = client.submit(["a"], model=MODEL, store="results", connection=connection)
        connection.commit()
        connection.close()

        assert [one.id for one in client.list()] == [kept.id] != [lost.id]
        assert (await house.until_rest(kept.id)).counts.succeeded == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "holds no rows"),
        ([1], "line 1: a row is a text or a mapping"),
        ([{"text": "x"}], 'has one of "request"'),
        ([{"key": "a", "prompt": "x"}, {"key": "a", "prompt": "y"}], "line 2: the same key as line 1"),
    ],
)
async def test_rows_that_cannot_be_sent_are_named(house: House, rows: list[object], says: str) -> None:
    """All faults come at once, before anything is enqueued."""
    with house.client() as client:
        with pytest.raises(BadSource, match=says):
            client.submit(rows, model=MODEL, store="results")

        assert client.list() == []


async def test_unknown_models_and_stores_are_refused_at_once(house: House) -> None:
    """A slip of the pen costs nothing."""
    with house.client() as client:
        with pytest.raises(UnknownModel, match="gpt-4"):
            client.submit(["a"], model="gpt-4", store="results")
        with pytest.raises(UnknownStore, match="VERTEXQ_STORE_NOWHERE"):
            client.submit(["a"], model=MODEL, store="nowhere")

        assert client.list() == []


def _request(text: str) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
