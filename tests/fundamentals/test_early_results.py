"""Rows that a running job has exported are in the store before it ends; at the end each is there once."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import (
    MODEL,
    answer,
    check_store,
    ended,
    ended_job,
    read_by,
    running_job,
    write,
)
from vertexq import Client, Outcome, steps
from vertexq.ledger import OutputRange, Record
from vertexq.model import Batch, GcsUri
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState, JobState
from vertexq.steps.merging import finish
from vertexq.steps.poll import wake
from vertexq.steps.ranges import RangeLoad

PROMPTS = [f"Say {number}" for number in range(40)]
EXPORTING = Behaviour(incremental_rows=5, timing=Timing(pending_s=0.01, rows_per_s=30.0, run_s=0.1))
EARLY = "incremental_predictions/predictions_{:05}.jsonl"


async def test_the_first_results_land_while_the_job_runs(house: House) -> None:
    """The store holds rows before the job's state is terminal, and every row once at the end."""
    house.simulator.behaviours.set(EXPORTING)
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="early")
        await house.until(landed(house, client, "early"))
        batch = house.services.ledger.batches("early")[0]
        early = {one.key for one in client.results("early")}
        seen = client.get("early")
        status = await house.until_rest("early")
        rows = check_store(house, client, house.services.ledger.batches("early")[0])

    assert (batch.state, batch.job_state) == (BatchState.BOUND, JobState.RUNNING)
    assert 0 < len(early) < len(PROMPTS)
    assert seen.landed_rows >= len(early)
    assert (status.counts.succeeded, len(rows)) == (len(PROMPTS), len(PROMPTS))
    assert all("incremental" in (rows[key].source_object or "") for key in early)


async def test_the_exports_of_a_job_without_a_final_file_are_its_output(house: House) -> None:
    """A job that was cancelled may leave nothing else."""
    house.simulator.behaviours.set(Behaviour(incremental_rows=7, early_only=True))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)


async def test_a_place_that_google_has_not_named_yet_is_found(house: House) -> None:
    """Before there is an output directory, exports are looked for in the attempt's own folder."""
    house.simulator.behaviours.set(
        Behaviour(incremental_rows=5, late_output_info=True, timing=EXPORTING.timing)
    )
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="early")
        await house.until(landed(house, client, "early"))
        named = house.services.ledger.batches("early")[0].output_directory
        status = await house.until_rest("early")

    assert named == ""
    assert status.counts.succeeded == len(PROMPTS)


async def test_exports_that_nobody_began_to_read_are_dropped_for_the_final_file(house: House) -> None:
    """The final file repeats them; they are not read for nothing."""
    with house.client() as client:
        batch = await ended_job(house, client, rows=6)
        await pin(house, batch, EARLY.format(0), answer(0) + answer(1))
        await write(house, batch, "predictions.jsonl", b"".join(map(answer, range(6))))
        batch = await read_by(house, batch)
        rows = check_store(house, client, batch)

    assert {(one.source_object or "").rpartition("/")[2] for one in rows.values()} == {"predictions.jsonl"}
    assert len(house.services.ledger.ranges(batch.id)) == 1


async def test_an_export_that_is_gone_is_closed_where_it_stands(house: House) -> None:
    """What was committed of it counts; the rest is in the final file."""
    slow = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
    with house.client() as client:
        batch = await running_job(slow, client, rows=6)
        part = await pin(slow, batch, EARLY.format(0), answer(0) + answer(1, "é" * 2_000_000) + answer(2))
        await steps.ingest(slow.services, batch.id)
        begun = {one.key for one in client.results("read")}
        await slow.services.storage.delete(GcsUri.parse(part.object_name))
        await write(slow, batch, "predictions.jsonl", b"".join(map(answer, range(6))))
        batch = await read_by(house, ended(house, batch))
        rows = check_store(house, client, batch)

    assert begun == {"0"}
    assert batch.counts.succeeded == 6
    assert "incremental" in (rows["0"].source_object or "")
    assert "incremental" not in (rows["2"].source_object or "")


async def test_an_export_that_is_gone_once_it_was_read_stops_nothing(house: House) -> None:
    """Another one, read at the same time, held the same row: what that cost counts twice, nobody knows it."""
    ledger = house.services.ledger
    with house.client() as client:
        batch = await running_job(house, client, rows=2)
        parts = [await pin(house, batch, EARLY.format(n), answer(0) + answer(n)) for n in (0, 1)]
        taken = [ledger.take_range(batch.id, owner="test", lease_s=60) for _ in parts]
        loads = [
            (await RangeLoad.begin(house.services, batch, part, claim), claim)
            for claim, part in (one for one in taken if one)
        ]
        assert [await load.run(monotonic() + 60) for load, _ in loads] == [True, True]
        await house.services.storage.delete(GcsUri.parse(parts[1].object_name))
        done = [await finish(house.services, load, claim) for load, claim in loads]

    assert done[1].counts.succeeded == 2
    assert done[1].usage.prompt_tokens == 30


async def test_an_export_of_which_ranges_were_dropped_is_not_summed_up(house: House) -> None:
    """Its first ranges were read while the job ran, the others were dropped for the final file."""
    cut = house.with_options(slice_s=0.0, chunk_rows=1, range_bytes=400)
    lines = [answer(n) for n in range(8)]
    with house.client() as client:
        batch = await running_job(cut, client, rows=len(lines))
        await write(house, batch, EARLY.format(0), b"".join(lines))
        await steps.ingest(cut.services, batch.id)
        await steps.ingest(cut.services, batch.id)
        early = {one.key for one in client.results("read")}
        await write(house, batch, "predictions.jsonl", b"".join(lines))
        batch = await read_by(cut, ended(house, batch))
        rows = check_store(house, client, batch)

    assert 0 < len(early) < len(lines)
    assert all("incremental" in (rows[key].source_object or "") for key in early)
    assert batch.counts.succeeded == len(lines)


async def test_a_torn_end_of_an_export_is_left_to_the_final_file(house: House) -> None:
    """It is no bad line: the object was looked at while its job was writing."""
    with house.client() as client:
        batch = await running_job(house, client, rows=3)
        await pin(house, batch, EARLY.format(0), answer(0) + answer(1)[:40])
        await steps.ingest(house.services, batch.id)
        await write(house, batch, "predictions.jsonl", b"".join(map(answer, range(3))))
        batch = await read_by(house, ended(house, batch))
        check_store(house, client, batch)

    assert (batch.counts.succeeded, batch.quarantined_lines) == (3, 0)


async def test_a_final_file_replaces_what_was_worse_and_leaves_what_was_as_good(house: House) -> None:
    """An export may hold an error that the job got over later."""
    house.simulator.behaviours.set(Behaviour(incremental_rows=3, repeated_rows=0.5, bad_rows=0.3))
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="lines")
        status = await house.until_rest(submission.id)
        rows = check_store(house, client, house.services.ledger.batches(submission.id)[0])

    assert status.counts.failed > 0
    assert {one.outcome for one in rows.values()} == {Outcome.SUCCEEDED, Outcome.FAILED}


async def test_early_results_can_be_left_out(house: House) -> None:
    """A setting turns them off; the end is the same."""
    house.simulator.behaviours.set(EXPORTING)
    late = house.with_options(early_results=False)
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        status = await late.until_rest(submission.id)
        objects = {one.source_object or "" for one in client.results(submission.id)}

    assert status.counts.succeeded == len(PROMPTS)
    assert not any("incremental" in name for name in objects)


async def test_what_had_landed_of_a_job_that_is_lost_is_counted(house: House) -> None:
    """An export was being read when the job was given up: its rows are stored once, and counted."""
    slow = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
    with house.client() as client:
        batch = await running_job(slow, client, rows=3, store="lines")
        await pin(slow, batch, EARLY.format(0), answer(0) + answer(1, "é" * 2_000_000) + answer(2))
        await steps.ingest(slow.services, batch.id)
        ledger = slow.services.ledger
        lost = ledger.move_batch(ledger.batch(batch.id), BatchState.LOST, reason="gone")
        wake(slow.services, lost)
        status = await slow.until_rest("read")
        outcomes = {one.key: one.outcome for one in client.results("read")}

    assert (status.counts.succeeded, status.counts.failed) == (1, 2)
    assert outcomes == {"0": Outcome.SUCCEEDED, "1": Outcome.FAILED, "2": Outcome.FAILED}


async def pin(house: House, batch: Batch, name: str, data: bytes) -> OutputRange:
    """Write an export and pin it, as a look at the running job would."""
    info = await write(house, batch, name, data)
    ledger = house.services.ledger
    claim = ledger.claim(Record.BATCH, batch.id, owner="poll", lease_s=60)
    assert claim is not None
    part = OutputRange(
        batch_id=batch.id, object_name=str(info.uri), generation=info.generation, start=0,
        end=info.size_bytes, size_bytes=info.size_bytes, crc32c=info.crc32c, early=True,
    )  # fmt: skip
    ledger.pin_ranges(batch, [part], claim=claim)
    ledger.release(claim)
    return part


def landed(house: House, client: Client, id: str) -> Callable[[], bool]:  # noqa: A002
    """Tell whether rows of a submission are in its store while its job runs."""

    def check() -> bool:
        batches = house.services.ledger.batches(id)
        running = bool(batches) and batches[0].job_state == JobState.RUNNING
        return running and any(True for _ in client.results(id))

    return check
