"""Rows of output tables on their way into the store: odd ones, many readers, and BigQuery's bad days."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fundamentals.house import House, built
from tests.fundamentals.outputs_house import answer, blocked, check_store, failed, read_by
from tests.fundamentals.tables_house import WRITTEN, Dataset, dataset, ended_in_table, row
from vertexq import Outcome, SubmissionState, steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport
from vertexq.model import Batch
from vertexq.retry import Backoff
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState

ROWS = 60
LINES = [row(answer(number, "é" * (number * 7 % 50))) for number in range(ROWS)]


@pytest_asyncio.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[House]:
    """Build a house that reads few rows at a time, repeats its calls soon, and asks a person soon."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(built(tmp_path, Timing.fast()))
        pace = Pace(first_s=0.005, cap_s=0.02, tries=4)
        transport = await stack.enter_async_context(
            Transport(await default_tokens(emulator=True), deadline_s=1.0, pace=pace)
        )
        options = replace(
            house.services.options, range_bytes=60_000, chunk_rows=4, output_wait_s=0.3,
            backoff=Backoff(first_s=0.01, longest_s=0.02, attempts=4),
        )  # fmt: skip
        bigquery = BigQuery(transport, endpoint=house.simulator.url)
        yield replace(house, services=replace(house.services, bigquery=bigquery, options=options))


@pytest_asyncio.fixture
async def written(impatient: House) -> AsyncIterator[Dataset]:
    """Give a dataset with the output of a job in its table ``out``."""
    async with dataset(impatient) as made:
        await made.fill("out", WRITTEN, LINES)
        yield made


async def whole(house: House, batch: Batch, *, workers: int = 1) -> None:
    """Read a batch and hold every row to having landed once, with the account of the store."""
    batch = await read_by(house, batch, workers=workers)
    with house.client() as client:
        rows = check_store(house, client, batch)

    assert (batch.counts.succeeded, len(rows)) == (ROWS, ROWS)
    assert {one.source_offset for one in rows.values()} == set(range(ROWS))


@pytest.mark.parametrize("workers", [1, 4])
async def test_every_row_is_in_one_range(impatient: House, written: Dataset, workers: int) -> None:
    """Ranges are intervals of row numbers, and any number of workers read them."""
    del written
    with impatient.client() as client:
        batch = await ended_in_table(impatient, client, rows=ROWS)
    await whole(impatient, batch, workers=workers)

    parts = impatient.services.ledger.ranges(batch.id)
    assert len(parts) > 2
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]


async def test_a_row_that_is_there_several_times_counts_once(impatient: House) -> None:
    """The better answer stays, and only what it cost is counted, whichever range was read first."""
    lines = [
        *LINES,
        *(row(blocked(n)) for n in range(0, ROWS, 2)),
        *(row(failed(n)) for n in range(0, ROWS, 3)),
    ]
    async with dataset(impatient) as made:
        await made.fill("out", WRITTEN, [*lines[ROWS:], *LINES, *LINES[::4]])
        with impatient.client() as client:
            batch = await ended_in_table(impatient, client, rows=ROWS)
            batch = await read_by(impatient, batch, workers=3)
            check_store(impatient, client, batch)

    assert batch.counts.succeeded == ROWS


async def test_odd_rows_are_what_they_are_in_files(impatient: House) -> None:
    """NULL for a status or a response, text instead of JSON, a row of somebody else, one that is too long."""
    lines = [dict(line) for line in LINES[:7]]
    lines[1]["status"] = None
    lines[2] |= {"status": None, "response": None}
    lines[3] |= {"status": "Bad Request: {}", "response": None}
    lines[4]["response"] = "no JSON at all"
    lines[5]["key"] = "r99-nobody"
    lines[6]["response"] = "x" * 5_000
    for line in lines:
        if isinstance(line["response"], dict):
            line["response"] = json.dumps(line["response"])
    async with dataset(impatient) as made:
        await made.fill("out", {**WRITTEN, "response": "STRING"}, lines)
        with impatient.client() as client:
            batch = await ended_in_table(impatient, client, rows=7)
            batch = await read_by(impatient.with_options(line_limit_bytes=2_000), batch)
            found = {one.key: one.outcome for one in client.results("read")}
            bad = {line.source_offset for line in client.quarantine("read")}

    assert [found.get(str(number)) for number in range(4)] == [
        Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.FAILED,
    ]  # fmt: skip
    assert bad == {4, 5, 6}
    assert batch.quarantined_lines == 3


async def test_what_became_of_the_table_after_it_was_pinned_is_not_read(
    impatient: House, written: Dataset
) -> None:
    """The rows of its copy land, though other rows are in its place by then."""
    with impatient.client() as client:
        batch = await ended_in_table(impatient, client, rows=ROWS)
    await steps.ingest(impatient.with_options(slice_s=0.0).services, batch.id)
    await written.fill("out", WRITTEN, [row(blocked(0))], write="WRITE_TRUNCATE")

    await whole(impatient, batch)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE {copy}", "is gone: it was deleted or has expired"),
        ("DELETE FROM {copy} WHERE key = 'r0-0'", f"had {ROWS} rows and has {ROWS - 1} now"),
    ],
)
async def test_a_copy_that_is_changed_while_it_is_read_stops_the_load(
    impatient: House, written: Dataset, change: str, said: str
) -> None:
    """The submission is parked with a sentence; what was read before stays."""
    with impatient.client() as client:
        batch = await ended_in_table(impatient, client, rows=ROWS)
        await steps.ingest(impatient.with_options(slice_s=0.0).services, batch.id)
        [copy] = [name for name in await written.tables() if name.startswith("vertexq_read_")]
        await written.run(change.replace("{copy}", f"`{{home}}.{copy}`"))
        status = await impatient.until_rest("read")
        rows = list(client.results("read"))

    assert status.state is SubmissionState.PARKED
    assert said in status.reason
    assert 0 < len(rows) < ROWS


PAGES = "bigquery.tabledata.list"
BAD_DAYS = {
    "page 503": [Fault(method=PAGES, action=Action.REFUSE, status=503, times=3)],
    "page slow down": [
        Fault(method=PAGES, action=Action.REFUSE, status=403, note="rateLimitExceeded", times=5)
    ],
    "page lost": [Fault(method=PAGES, action=Action.DROP, times=4)],
    "page garbled": [Fault(method=PAGES, action=Action.GARBLE, times=2)],
    "page slow": [Fault(method=PAGES, action=Action.ACCEPT_THEN_STALL, delay_s=5.0)],
    "table 500": [Fault(method="bigquery.tables.get", action=Action.REFUSE, status=500, times=6)],
    "dataset away": [Fault(method="bigquery.datasets.get", action=Action.DROP, times=2)],
    "copy accepted, answer lost": [Fault(method="bigquery.jobs.insert", action=Action.ACCEPT_THEN_DROP)],
    "copy fails": [Fault(method="bigquery.jobs.insert", action=Action.OTHER, note="fail:backendError")],
    "copy is slow": [Fault(method="bigquery.jobs.insert", action=Action.OTHER, note="slow", delay_s=0.6)],
}


@pytest.mark.parametrize("faults", BAD_DAYS.values(), ids=BAD_DAYS.keys())
async def test_a_bad_day_of_bigquery_loses_and_doubles_nothing(
    impatient: House, written: Dataset, faults: list[Fault]
) -> None:
    """Refused, lost, garbled, slow: each is asked for again, and the copy is made once."""
    for fault in faults:
        impatient.simulator.faults.add(fault)
    with impatient.client() as client:
        batch = await ended_in_table(impatient, client, rows=ROWS)
    await whole(impatient, batch, workers=2)

    assert len(await written.tables()) == 2


async def test_a_table_that_nobody_wrote_leaves_its_rows_missing(impatient: House) -> None:
    """As an empty folder does."""
    async with dataset(impatient):
        with impatient.client() as client:
            batch = await ended_in_table(impatient, client, rows=5)
            batch = await read_by(impatient, batch)
            status = await impatient.until_rest("read")

    assert batch.state is BatchState.INGESTED
    assert status.counts.missing == 5
