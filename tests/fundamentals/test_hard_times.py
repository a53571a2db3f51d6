"""What happens when Google, the network, a store or a worker lets us down in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fundamentals.house import House
from vertexq import Outcome, Status, SubmissionState, steps
from vertexq.ledger import Record
from vertexq.model import GcsUri
from vertexq.retry import Backoff
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState
from vertexq.steps.leases import with_lease
from vertexq.steps.storebook import StoreBook

MODEL = "gemini-2.5-flash"
JOBS = "aiplatform.projects.locations.batchPredictionJobs"
DOWNLOAD = "storage.objects.download"
PROMPTS = [f"Say {number}" for number in range(40)]
QUICK = Backoff(first_s=0.01, longest_s=0.02, attempts=3)


async def test_many_jobs_are_looked_at_in_one_list(house: House) -> None:
    """Polling costs a request a hundred jobs, not a request a job."""
    several = house.with_options(batch_rows=5)
    status = await enqueued(several)

    assert (status.batches, status.counts.succeeded) == (8, len(PROMPTS))
    assert house.simulator.faults.log(f"{JOBS}.list")


async def test_a_job_that_vanishes_is_never_made_again(house: House) -> None:
    """After enough looks its rows are failed, with the reason, and a person may look into it."""
    hasty = replace(
        house, services=replace(house.services, options=replace(house.services.options, backoff=QUICK))
    )
    house.simulator.faults.add(Fault(method=f"{JOBS}.get", action=Action.REFUSE, status=404, times=None))
    house.simulator.behaviours.set(Behaviour(list_lag_s=1000.0))
    status = await enqueued(hasty)

    assert (status.state, status.counts.failed) == (SubmissionState.FAILED, len(PROMPTS))
    assert status.batches_by_state == {BatchState.LOST: 1}
    assert "Google does not know" in status.reason
    assert len(house.simulator.accepted) == 1


async def test_a_job_that_only_its_label_finds_is_not_lost(house: House) -> None:
    """Before a job is given up it is looked for in the list, too."""
    hasty = replace(
        house, services=replace(house.services, options=replace(house.services.options, backoff=QUICK))
    )
    house.simulator.faults.add(Fault(method=f"{JOBS}.get", action=Action.REFUSE, status=404, times=None))
    status = await enqueued(hasty)

    assert status.counts.succeeded == len(PROMPTS)
    assert len(house.simulator.accepted) == 1


@pytest.mark.parametrize("word", ["JOB_STATE_CONTEMPLATING", ""])
async def test_a_state_that_nobody_knows_means_wait(house: House, word: str) -> None:
    """A new word from Google neither ends nor loses a job."""
    house.simulator.behaviours.set(Behaviour(state_word=word))
    status = await enqueued(house)

    assert status.counts.succeeded == len(PROMPTS)


async def test_an_ingest_in_many_slices_loads_every_row_once(house: House) -> None:
    """A step that runs out of time goes on from the store's position; so does a worker that died."""
    sliced = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
    house.simulator.behaviours.set(Behaviour(repeated_rows=0.5, shards=2))
    status = await enqueued(sliced, store="lines")

    assert status.counts.succeeded == len(PROMPTS)
    with house.client() as client:
        keys = [one.key for one in client.results(status.id)]
    assert sorted(map(int, keys)) == list(range(len(PROMPTS)))


async def test_bytes_that_were_corrupted_on_the_way_are_read_again(house: House) -> None:
    """The whole object's checksum decides, before a row of it is in the store."""
    house.simulator.faults.add(
        Fault(method=DOWNLOAD, action=Action.CORRUPT, match="predictions", after_bytes=999)
    )
    status = await enqueued(house)

    assert status.counts.succeeded == len(PROMPTS)


async def test_lines_that_cannot_be_read_are_kept_aside(house: House) -> None:
    """A line over the limit or torn is quarantined with its place; its row counts as missing."""
    house.simulator.behaviours.set(Behaviour(corrupt_rows=0.2))
    narrow = house.with_options(line_limit_bytes=600)
    status = await enqueued(narrow)
    lines = await house.services.stores.call("results", lambda store: list(store.quarantine(status.id)))

    assert status.quarantined_lines == len(lines) > 0
    assert status.counts.missing + status.counts.succeeded == len(PROMPTS)
    assert {line.source_object.rpartition("/")[2] for line in lines} == {"predictions.jsonl"}


async def test_a_job_that_ends_half_done_is_kept_and_the_rest_is_missing(house: House) -> None:
    """PARTIALLY_SUCCEEDED is an end like any other."""
    house.simulator.behaviours.set(Behaviour(partial=True, missing_rows=0.3))
    status = await enqueued(house)

    assert status.state is SubmissionState.DONE
    assert status.counts.missing > 0
    assert status.counts.total == len(PROMPTS)


async def test_a_job_that_expires_in_the_queue_fails_every_row(house: House) -> None:
    """It ended without an answer: every row says so, and the submission has failed."""
    house.simulator.behaviours.set(Behaviour(expires=True))
    status = await enqueued(house)

    assert (status.state, status.counts.failed) == (SubmissionState.FAILED, len(PROMPTS))


async def test_a_store_that_is_away_delays_and_then_parks(house: House) -> None:
    """Nothing is sent while results could not land; after enough tries a person is asked."""
    stores = StoreBook({"results": "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1"})
    options = replace(house.services.options, backoff=QUICK)
    away = replace(house, services=replace(house.services, stores=stores, options=options))
    status = await enqueued(away)
    await stores.close()

    assert status.state is SubmissionState.PARKED
    assert "127.0.0.1:9" in status.reason
    assert house.simulator.accepted == []


async def test_a_store_that_is_away_while_answers_come_is_said_and_waited_for(house: House) -> None:
    """The status tells why no row lands; once the store is back it has every row, and nothing to say."""
    lines = house.home / "lines"
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="lines")
        await house.until(lambda: client.get(submission.id).job_states != {})
        lines.rename(house.home / "aside")
        lines.touch()  # a file is in the place of the directory
        await house.until(lambda: "/lines" in client.get(submission.id).reason)
        waiting = client.get(submission.id)
        lines.unlink()
        status = await house.until_rest(submission.id)

    assert waiting.state is SubmissionState.RUNNING
    assert (status.state, status.reason, status.differences) == (SubmissionState.DONE, "", ())
    assert status.counts.succeeded == len(PROMPTS)


async def test_a_staging_bucket_that_is_not_there_parks_with_a_sentence(house: House) -> None:
    """The mistake is named before anything is paid for."""
    nowhere = replace(house.services.options, staging=GcsUri(bucket="no-such-bucket", name="x"))
    status = await enqueued(replace(house, services=replace(house.services, options=nowhere)))

    assert status.state is SubmissionState.PARKED
    assert "no-such-bucket" in status.reason
    assert house.simulator.accepted == []


async def test_a_job_that_cannot_even_be_asked_for_parks_and_can_be_cancelled(house: House) -> None:
    """A worker with an impossible project sends nothing, says so, and leaves nothing half sent."""
    odd = house.with_options()
    options = replace(odd.services.options, project="X Y")
    odd = replace(odd, services=replace(odd.services, options=options))
    parked = await enqueued(odd)
    with odd.client() as client:
        client.cancel(parked.id)
    cancelled = await odd.until_rest(parked.id)

    assert parked.state is SubmissionState.PARKED
    assert "'X Y' is not a Google Cloud project" in parked.reason
    assert cancelled.state is SubmissionState.CANCELLED
    assert house.simulator.accepted == []


async def test_staging_goes_over_the_remains_of_a_worker_that_died(house: House) -> None:
    """Half a file of an earlier try is replaced; the same bytes are left alone."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
    name = house.services.options.staging.join(f"{submission.id}/00000/input.jsonl")
    torn = await house.services.storage.upload(name, b'{"key":"r0-0","requ')

    status = await house.until_rest(submission.id)

    assert status.counts.succeeded == len(PROMPTS)
    assert (await house.services.storage.info(name)).generation > torn.generation


async def test_the_audit_trail_of_a_batch_tells_its_story(house: House) -> None:
    """Who moved a batch, and why, can be read back."""
    house.simulator.faults.add(Fault(method=f"{JOBS}.create", action=Action.ACCEPT_THEN_DROP))
    status = await enqueued(house)

    batch = house.services.ledger.batches(status.id)[0]
    moves = [line.to_state for line in house.services.ledger.audit(Record.BATCH, batch.id)]
    assert moves == ["ready", "sending", "ambiguous", "bound", "ended", "ingested"]


async def test_a_record_that_somebody_holds_is_left_alone(house: House) -> None:
    """A second hint for the same work does nothing."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
    held = house.services.ledger.claim(Record.SUBMISSION, submission.id, owner="another", lease_s=60)

    await steps.stage(house.services, submission.id)

    assert held is not None
    assert house.services.ledger.submission(submission.id).state is SubmissionState.QUEUED


async def test_work_stops_when_its_lease_is_lost(house: House) -> None:
    """A worker that was asleep past its lease finds out at its next heartbeat and touches nothing more."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
    options = replace(house.services.options, lease_s=0.05, heartbeat_s=0.2)
    sleepy = replace(house.services, options=options)
    finished: list[bool] = []

    async def work(_: object) -> None:
        await house.until(lambda: False, most=100_000)
        finished.append(True)

    await with_lease(sleepy, Record.SUBMISSION, submission.id, work)

    assert finished == []


async def test_answers_of_a_failed_row_are_found_by_outcome(house: House) -> None:
    """Failed rows carry Google's code and sentence."""
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5))
    status = await enqueued(house)
    with house.client() as client:
        failed = list(client.results(status.id, outcomes={Outcome.FAILED}))

    assert len(failed) == status.counts.failed > 0
    assert {one.error_code for one in failed} == {429}


async def enqueued(house: House, *, store: str = "results") -> Status:
    """Enqueue the prompts and go on until nothing more happens."""
    with house.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store=store)
    return await house.until_rest(submission.id)
