"""Jobs write tables in BigQuery, and every row of them lands in the store once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import check_store
from tests.fundamentals.tables_house import CLAUDE, DATASET, LLAMA, MODEL, Dataset, dataset
from vertexq import BadInput, Outcome, SubmissionState
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault

ROWS = 120
HARD = Behaviour(
    bad_rows=0.1, blocked_rows=0.1, cut_rows=0.1, quota_rows=0.1, missing_rows=0.05, repeated_rows=0.1,
    response_as_text=True,
)  # fmt: skip


@pytest_asyncio.fixture
async def answers(house: House) -> AsyncIterator[Dataset]:
    """Give a dataset in the jobs' region."""
    async with dataset(house) as made:
        yield made


def prompts(rows: int = ROWS) -> list[str]:
    """Return prompts of different lengths."""
    return [f"Say {number} {'é' * (number % 7)}" for number in range(rows)]


async def test_answers_come_by_way_of_a_table_that_only_this_attempt_writes(
    house: House, answers: Dataset
) -> None:
    """Each result says which row of which table it was, as of when."""
    with house.client() as client:
        id_ = client.submit(prompts(), model=MODEL, store="results", destination=DATASET).id
        status = await house.until_rest(id_)
        [batch] = house.services.ledger.batches(id_)
        rows = check_store(house, client, batch)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, ROWS)
    assert batch.output_prefix == batch.output_directory
    assert batch.output_prefix.startswith(f"{DATASET}.vertexq_out_{batch.id.replace('-', '_')}")
    assert {one.source_offset for one in rows.values()} == set(range(ROWS))
    assert {one.source_object for one in rows.values()} == {batch.output_prefix}
    assert len(await answers.tables()) == 2  # what the job wrote, and the copy that was read


@pytest.mark.parametrize("store", ["results", "lines", "duck", "parquet"])
async def test_rows_of_a_table_are_accounted_for_exactly(house: House, answers: Dataset, store: str) -> None:
    """Failed, blocked, missing and repeated ones, in ranges that are read in small chunks."""
    del answers
    house.simulator.behaviours.set(HARD)
    small = house.with_options(range_bytes=100_000, chunk_rows=7)
    with house.client() as client:
        id_ = client.submit(prompts(), model=MODEL, store=store, destination=DATASET).id
        status = await small.until_rest(id_)
        [batch] = house.services.ledger.batches(id_)
        found = {one.key: one.outcome for one in client.results(id_)}

    parts = house.services.ledger.ranges(batch.id)
    assert len(parts) > 3
    assert sum(part.end - part.start for part in parts) == parts[0].size_bytes
    assert set(found) == {str(number) for number in range(ROWS)}
    assert set(found.values()) >= {Outcome.SUCCEEDED, Outcome.BLOCKED, Outcome.FAILED, Outcome.MISSING}
    assert status.counts.total == ROWS


@pytest.mark.parametrize(
    ("model", "parameters"), [("text-embedding-005", {}), (CLAUDE, {"max_tokens": 64}), (LLAMA, {})]
)
async def test_other_models_write_tables_too(
    house: House, answers: Dataset, model: str, parameters: dict[str, int]
) -> None:
    """By a key of another name, or by nothing but the text that comes back."""
    del answers
    house.simulator.behaviours.set(Behaviour(bad_rows=0.1, missing_rows=0.05, repeated_rows=0.1))
    with house.client() as client:
        asked = {"model": model, "parameters": parameters, "destination": DATASET}
        id_ = client.submit(prompts(), store="results", **asked).id  # type: ignore[arg-type]
        status = await house.until_rest(id_)
        [batch] = house.services.ledger.batches(id_)
        answered = sum(one.ok for one in client.results(id_))

    assert status.counts.total == ROWS
    assert answered == status.counts.succeeded == batch.stats.successful
    assert not status.counts.quarantined


async def test_rows_that_are_tried_again_get_tables_of_their_own(house: House, answers: Dataset) -> None:
    """Each round is a job, and each job has its table."""
    patient = house.with_options(retry_rounds=3, retry_wait_s=0.02)
    house.simulator.behaviours.set(Behaviour(quota_rows=0.3))
    with house.client() as client:
        id_ = client.submit(prompts(), model=MODEL, store="results", destination=DATASET).id
        await patient.until_rest(id_)
        outcomes = [one.attempt for one in client.results(id_) if one.outcome is Outcome.SUCCEEDED]

    batches = house.services.ledger.batches(id_)
    assert len({batch.output_prefix for batch in batches}) == len(batches) > 1
    assert len(await answers.tables()) == 2 * len(batches)
    assert set(outcomes) > {1}


async def test_a_job_whose_answer_was_lost_is_found_by_its_table(house: House, answers: Dataset) -> None:
    """The create is cut off after Google accepted it: there is one job, and one table."""
    create = "aiplatform.projects.locations.batchPredictionJobs.create"
    house.simulator.faults.add(Fault(method=create, action=Action.ACCEPT_THEN_DROP))
    with house.client() as client:
        id_ = client.submit(prompts(5), model=MODEL, store="results", destination=DATASET).id
        status = await house.until_rest(id_)

    assert (status.state, len(house.simulator.accepted)) == (SubmissionState.DONE, 1)
    assert len(await answers.tables()) == 2


async def test_a_table_that_appears_late_is_waited_for(house: House, answers: Dataset) -> None:
    """The job has ended and counted its rows; its table is there a moment later."""
    del answers
    house.simulator.behaviours.set(Behaviour(late_output_s=0.3))
    patient = house.with_options(output_wait_s=10.0)
    with house.client() as client:
        id_ = client.submit(prompts(20), model=MODEL, store="results", destination=DATASET).id
        status = await patient.until_rest(id_)

    assert status.counts.succeeded == 20


async def test_a_cancelled_job_leaves_the_rows_that_it_has_done(slow_house: House) -> None:
    """What is in its table is read, the rest is missing."""
    async with dataset(slow_house):
        with slow_house.client() as client:
            id_ = client.submit(prompts(), model=MODEL, store="results", destination=DATASET).id
            ledger = slow_house.services.ledger
            await slow_house.until(lambda: any(one.stats.successful for one in ledger.batches(id_)))
            client.cancel(id_)
            status = await slow_house.until_rest(id_)

    assert status.state is SubmissionState.CANCELLED
    assert 0 < status.counts.succeeded < ROWS


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"destination": "bq://demo.answers.mine"}, "a table name is not allowed here"),
        ({"destination": "bq://demo"}, "is no dataset's address"),
        ({"destination": "gs://bucket/out"}, "is no dataset's address"),
        ({"destination": DATASET, "location": "global"}, "jobs in global have no region"),
    ],
)
async def test_a_destination_that_can_be_none_is_refused_at_once(
    house: House, asked: dict[str, str], said: str
) -> None:
    """Nothing is enqueued."""
    with house.client() as client, pytest.raises(BadInput, match=said):
        client.submit(["Say a"], model=MODEL, store="results", **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("US", "is in the multi-region US"),
        ("europe-west4", "it is in europe-west4 and the jobs run in us-central1"),
    ],
)
async def test_a_dataset_in_another_region_is_refused_before_anything_is_sent(
    house: House, location: str, said: str
) -> None:
    """The sentence says where the dataset is, and what to do."""
    async with dataset(house, location=location):
        with house.client() as client:
            id_ = client.submit(["Say a"], model=MODEL, store="results", destination=DATASET).id
            status = await house.until_rest(id_)

    assert status.state is SubmissionState.REJECTED
    assert said in status.reason
    assert not house.simulator.accepted


async def test_a_dataset_that_is_not_there_may_be_made_and_the_submission_goes_on(house: House) -> None:
    """It is parked until it is enqueued again."""
    with house.client() as client:
        id_ = client.submit(["Say a"], model=MODEL, store="results", destination=DATASET, id="one").id
        parked = await house.until_rest(id_)
        async with dataset(house):
            client.submit(["Say a"], model=MODEL, store="results", destination=DATASET, id="one")
            done = await house.until_rest(id_)

    assert parked.state is SubmissionState.PARKED
    assert "bq://demo.answers is not there; make the dataset" in parked.reason
    assert done.state is SubmissionState.DONE


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("bigquery.tables.insert", "no table can be made in bq://demo.answers"),
        ("bigquery.jobs.query", "no query can be run in the project demo"),
    ],
)
async def test_a_right_that_is_missing_is_found_out_before_anything_is_sent(
    house: House, answers: Dataset, method: str, said: str
) -> None:
    """A table is made and deleted again, and a query run that reads nothing."""
    del answers
    house.simulator.faults.add(Fault(method=method, action=Action.REFUSE, status=403, times=None))
    with house.client() as client:
        id_ = client.submit(["Say a"], model=MODEL, store="results", destination=DATASET).id
        status = await house.until_rest(id_)

    assert status.state is SubmissionState.PARKED
    assert said in status.reason
    assert not house.simulator.accepted
