"""Large objects are cut into ranges; several workers read them, and the account is the store's to a cent."""

from __future__ import annotations

from random import Random

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import answer, blocked, check_store, ended_job, failed, read_by, write
from vertexq import Outcome
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.states import BatchState

ROWS = 60


@pytest.mark.parametrize("range_bytes", [150, 399, 5_000])
@pytest.mark.parametrize("workers", [1, 4])
async def test_every_line_is_in_one_range(house: House, range_bytes: int, workers: int) -> None:
    """Whatever the cut, a line belongs to the range in which it starts, also without a newline at the end."""
    cut = house.with_options(range_bytes=range_bytes, chunk_rows=3)
    data = b"".join(answer(n, "é" * (n * 7 % 50)) for n in range(ROWS))
    with house.client() as client:
        batch = await ended_job(cut, client, rows=ROWS)
        await write(cut, batch, "predictions.jsonl", data.rstrip(b"\n"))
        batch = await read_by(cut, batch, workers=workers)
        rows = check_store(cut, client, batch)

    assert (batch.state, batch.counts.succeeded) == (BatchState.INGESTED, ROWS)
    assert {one.source_offset for one in rows.values()} == {0, *offsets(data)[:-1]}
    assert all(part.done for part in house.services.ledger.ranges(batch.id))


def offsets(data: bytes) -> list[int]:
    """Return where each line after the first starts, and the end."""
    return [at + 1 for at, byte in enumerate(data) if byte == 10]


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_row_in_several_ranges_counts_once(house: House, workers: int) -> None:
    """The better answer stays, and only what it cost is counted, whoever was first."""
    cut = house.with_options(range_bytes=1_500, chunk_rows=2)
    lines = [answer(n, prompt=10 + n) for n in range(ROWS)]
    lines += [blocked(n) for n in range(0, ROWS, 2)] + [failed(n) for n in range(0, ROWS, 3)]
    lines += [answer(n, prompt=10 + n) for n in range(0, ROWS, 4)] + [blocked(ROWS), failed(ROWS + 1)]
    Random(workers).shuffle(lines)
    with house.client() as client:
        batch = await ended_job(cut, client, rows=ROWS + 2)
        await write(cut, batch, "predictions-00000-of-00002.jsonl", b"".join(lines[:50]))
        await write(cut, batch, "predictions-00001-of-00002.jsonl", b"".join(lines[50:]))
        batch = await read_by(cut, batch, workers=workers)
        check_store(cut, client, batch)

    counts = batch.counts
    assert (counts.succeeded, counts.blocked, counts.failed, counts.total) == (ROWS, 1, 1, ROWS + 2)


@pytest.mark.parametrize("store", ["results", "lines"])
async def test_ranges_that_knew_nothing_of_each_other_are_told_apart_at_the_end(
    house: House, store: str
) -> None:
    """Two workers read the same rows at the same time; the store has each once."""
    cut = house.with_options(chunk_rows=1_000)
    data = b"".join(answer(n, prompt=10) for n in range(ROWS))
    with house.client() as client:
        batch = await ended_job(cut, client, rows=ROWS, store=store)
        for number in range(4):
            await write(cut, batch, f"predictions_{number}.jsonl", data)
        batch = await read_by(cut, batch, workers=4)
        await cut.until_rest("read")
        check_store(cut, client, batch)

    assert batch.repeats


@pytest.mark.parametrize("echo", [Echo.NONE, Echo.COERCED, Echo.SIBLINGS])
async def test_rows_that_look_alike_share_the_answers_of_all_ranges(house: House, echo: Echo) -> None:
    """Without keys, ranges whose rows carry the same request wait for each other."""
    cut = house.with_options(range_bytes=3_000, chunk_rows=2, output_wait_s=0.5)
    house.simulator.behaviours.set(Behaviour(echo=echo, shards=2))
    rows = [{"key": f"k{n}", "prompt": f"Say {n % 5}"} for n in range(30)]
    with house.client() as client:
        submission = client.submit(rows, model="gemini-2.5-flash", store="results")
        status = await cut.muddled(Random(1)).until_rest(submission.id)
        outcomes = [one.outcome for one in client.results(submission.id)]

    assert status.counts.succeeded == len(rows)
    assert outcomes == [Outcome.SUCCEEDED] * len(rows)
