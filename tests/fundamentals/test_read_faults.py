"""What goes wrong between a job's output and the store: every row lands once, or a person is told why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fundamentals.house import House, built
from tests.fundamentals.outputs_house import answer, ended_job, read_by, write
from vertexq import SubmissionState
from vertexq.google.auth import default_tokens
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.model import Batch, JobStats
from vertexq.retry import Backoff
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState
from vertexq.steps.storebook import StoreBook

ROWS = 60
DATA = b"".join(answer(number, "é" * (number * 7 % 50)) for number in range(ROWS))
OTHER = b"".join(answer(number, "a later answer") for number in range(ROWS))
DOWNLOAD, LIST = "storage.objects.download", "storage.objects.list"
FILE = "predictions.jsonl"
EVERYWHERE = pytest.mark.parametrize("impatient", ["sqlite", "duckdb", "jsonl", "parquet"], indirect=True)
_ENDING = {"sqlite": ".db", "duckdb": ".duckdb"}


@pytest_asyncio.fixture
async def impatient(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """Build a house that repeats its calls soon, waits a second for a silent one, and asks a person soon.

    Its results land in SQLite, or where the test's parameter says.
    """
    kind = str(getattr(request, "param", "sqlite"))
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(built(tmp_path, Timing.fast()))
        pace = Pace(first_s=0.005, cap_s=0.02, tries=4)
        transport = await stack.enter_async_context(
            Transport(await default_tokens(emulator=True), deadline_s=1.0, pace=pace)
        )
        stores = StoreBook({"results": f"{kind}:///{tmp_path}/landed{_ENDING.get(kind, '')}"})
        stack.push_async_callback(stores.close)
        options = replace(
            house.services.options, range_bytes=3_000, chunk_rows=4, output_wait_s=0.3,
            backoff=Backoff(first_s=0.01, longest_s=0.02, attempts=4),
        )  # fmt: skip
        storage = Storage(transport, endpoint=house.simulator.url)
        services = replace(house.services, storage=storage, stores=stores, options=options)
        yield replace(house, services=services)


async def _written(house: House) -> Batch:
    """Return an ended batch whose output is one object, of some ranges; Google has counted all rows."""
    with house.client() as client:
        batch = await ended_job(house, client, rows=ROWS, store="results")
    await write(house, batch, FILE, DATA)
    return house.services.ledger.update_batch(batch, stats=JobStats(successful=ROWS))


async def _whole(house: House, batch: Batch) -> None:
    """Read what is left and hold every row to having landed once."""
    batch = await read_by(house, batch)
    status = await house.until_rest(batch.submission_id)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, ROWS)
    keys = await house.services.stores.call(
        "results", lambda store: [one.key for one in store.results(batch.submission_id)]
    )
    assert sorted(keys, key=int) == [str(number) for number in range(ROWS)]


def _goes_wrong(house: House, action: Action, *, method: str = DOWNLOAD, **how: object) -> None:
    house.simulator.faults.add(Fault(method=method, action=action, match="predict", **how))  # type: ignore[arg-type]


@EVERYWHERE
async def test_a_download_that_breaks_off_and_then_finds_nobody_goes_on_at_the_next_byte(
    impatient: House,
) -> None:
    """Each second download is cut in the middle of a line, and what follows is answered 503 twice."""
    for after_bytes in (1_000, 1, 2_999):
        _goes_wrong(impatient, Action.CUT, after_bytes=after_bytes)
        _goes_wrong(impatient, Action.REFUSE, status=503, times=2)
    await _whole(impatient, await _written(impatient))

    assert {entry.status for entry in impatient.simulator.faults.log(DOWNLOAD)} >= {0, 206, 503}


@EVERYWHERE
async def test_a_download_that_says_nothing_more_is_left_and_asked_for_again(impatient: House) -> None:
    """A stream that stalls ends with the deadline of its call; the rest comes with another."""
    _goes_wrong(impatient, Action.STALL, after_bytes=1_500, delay_s=60.0)
    await _whole(impatient, await _written(impatient))


@EVERYWHERE
@pytest.mark.parametrize("action", [Action.SHORTEN, Action.IGNORE_RANGE, Action.WRONG_RANGE, Action.DROP])
async def test_an_answer_that_is_not_what_was_asked_for_loses_and_doubles_nothing(
    impatient: House, action: Action
) -> None:
    """Short of bytes, of the whole object, of another place, or none: it is seen, and asked for again."""
    _goes_wrong(impatient, action, after_bytes=700, times=3)
    await _whole(impatient, await _written(impatient))


async def test_answers_that_are_always_short_still_come_to_an_end(impatient: House) -> None:
    """As long as each brings some bytes."""
    _goes_wrong(impatient, Action.SHORTEN, after_bytes=700, times=None)
    await _whole(impatient, await _written(impatient))


@EVERYWHERE
async def test_bytes_that_were_spoilt_are_read_again_when_nothing_of_them_is_stored(impatient: House) -> None:
    """The checksum of the object is known before its only chunk is committed."""
    once = impatient.with_options(range_bytes=10**6, chunk_rows=1000)
    _goes_wrong(impatient, Action.CORRUPT, after_bytes=1_000)
    await _whole(once, await _written(once))

    assert len(impatient.simulator.faults.log(DOWNLOAD)) >= 2


async def test_bytes_that_are_always_spoilt_are_not_stored(impatient: House) -> None:
    """After some tries a person is told which object is not what it says; no row of it has landed."""
    once = impatient.with_options(range_bytes=10**6, chunk_rows=1000)
    _goes_wrong(impatient, Action.CORRUPT, after_bytes=600, times=None)
    batch = await _written(once)
    status = await once.until_rest(batch.submission_id)

    assert status.state is SubmissionState.PARKED
    assert FILE in status.reason
    assert "checksum" in status.reason
    assert status.counts.total == 0


async def test_bytes_that_were_spoilt_after_rows_were_stored_are_told(impatient: House) -> None:
    """Only the end shows it, when chunks are in the store: a person must compare."""
    _goes_wrong(impatient, Action.CORRUPT, after_bytes=600)
    batch = await _written(impatient)
    status = await impatient.until_rest(batch.submission_id)

    assert status.state is SubmissionState.PARKED
    assert "in the store already and may be wrong" in status.reason


@EVERYWHERE
async def test_an_object_that_is_replaced_while_it_is_read_stops_the_load(impatient: House) -> None:
    """Rows of two generations are never mixed; the sentence names the object and the generation."""
    slow = impatient.with_options(slice_s=0.0)
    batch = await _written(slow)
    await slow.until(lambda: any(part.done for part in slow.services.ledger.ranges(batch.id)))
    await write(slow, batch, FILE, OTHER)
    status = await slow.until_rest(batch.submission_id)

    assert status.state is SubmissionState.PARKED
    assert FILE in status.reason
    assert "was replaced or deleted" in status.reason
    texts = await slow.services.stores.call(
        "results", lambda store: {one.text for one in store.results(batch.submission_id)}
    )
    assert "a later answer" not in texts


async def test_an_export_that_is_listed_late_is_waited_for(impatient: House) -> None:
    """The job has succeeded and its folder seems empty: it is looked at again before rows are missing."""
    patient = impatient.with_options(output_wait_s=10.0)
    _goes_wrong(impatient, Action.OTHER, method=LIST, note="empty-list", times=3)
    await _whole(patient, await _written(patient))

    assert len(impatient.simulator.faults.log(LIST)) > 3


async def test_a_list_that_fails_is_asked_for_again(impatient: House) -> None:
    """An outage of the listing is none of the submission's business."""
    _goes_wrong(impatient, Action.REFUSE, method=LIST, status=503, times=5)
    await _whole(impatient, await _written(impatient))


async def test_an_outage_of_the_downloads_parks_and_goes_on_where_it_was(impatient: House) -> None:
    """After enough tries a person is told; enqueued again, the rest is read, and nothing twice."""
    slow = impatient.with_options(slice_s=0.0)
    batch = await _written(slow)
    await slow.until(lambda: any(part.done for part in slow.services.ledger.ranges(batch.id)))
    _goes_wrong(impatient, Action.REFUSE, status=503, times=None)
    parked = await slow.until_rest(batch.submission_id)
    impatient.simulator.faults.clear()
    with slow.client() as client:
        client.submit(
            [f"Say {n}" for n in range(ROWS)], model=batch.model, store="results", id=batch.submission_id
        )

    assert (parked.state, parked.counts.total) == (SubmissionState.PARKED, parked.counts.succeeded)
    assert "503" in parked.reason
    await slow.until(lambda: slow.services.ledger.batch(batch.id).state is BatchState.INGESTED)
    await _whole(slow, batch)
