"""BigQuery on bad days, while a table is staged: every table is made once, or a person is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import MODEL, SOURCE, asked, asking, filled, run_sql, submitted
from vertexq import SubmissionState
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState
from vertexq.steps import stage

INSERT, QUERY = "bigquery.jobs.insert", "bigquery.jobs.query"


async def made(house: House) -> list[str]:
    """Return the ids of the jobs that made tables, without their digests."""

    def ask(client: Any) -> list[str]:
        jobs = client.list_jobs(project="demo")
        return sorted(job.job_id.rpartition("-")[2] for job in jobs if job.job_id.startswith("vertexq-in-"))

    return await asking(house, ask)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=INSERT, action=Action.REFUSE, status=503, times=2),
        Fault(method=INSERT, action=Action.ACCEPT_THEN_DROP, times=2),
        Fault(method=INSERT, action=Action.GARBLE, times=1),
        Fault(method=INSERT, action=Action.OTHER, note="slow", delay_s=0.5),
        Fault(method=QUERY, action=Action.REFUSE, status=503, times=2),
        Fault(method="bigquery.tables.get", action=Action.DROP, times=2),
    ],
)
async def test_what_passes_is_asked_again_and_nothing_is_made_twice(house: House, fault: Fault) -> None:
    """Whatever an insert was answered with, its id says whether it took effect."""
    await filled(house, asked(5))
    house.simulator.faults.add(fault)

    status = await submitted(house.with_options(batch_rows=3))

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 5), status.reason
    assert await made(house) == ["0", "0", "0"]  # the copy, and two tables cut from it


async def test_a_copy_that_failed_in_passing_is_made_under_the_next_number(house: House) -> None:
    """A job that has ended badly never takes effect, and its id is taken for ever."""
    await filled(house, asked(5))
    house.simulator.faults.add(Fault(method=INSERT, action=Action.OTHER, note="fail:backendError"))

    status = await submitted(house)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 5), status.reason
    assert await made(house) == ["0", "0", "1"]  # the copy, twice, and the table cut from it


async def test_rights_that_lack_are_a_persons_business(house: House) -> None:
    """The submission is parked with Google's sentence; enqueued again, it goes on where it was."""
    await filled(house, asked(5))
    house.simulator.faults.add(Fault(method=INSERT, action=Action.REFUSE, status=403))

    parked = await submitted(house, id="rights")
    done = await submitted(house, id="rights")

    assert parked.state is SubmissionState.PARKED, parked.reason
    assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, 5), done.reason


async def test_a_table_that_was_made_anew_before_it_was_copied_is_looked_at_anew(house: House) -> None:
    """What it was at the first look nobody knows any more."""
    await filled(house, asked(5))
    house.simulator.faults.add(Fault(method=INSERT, action=Action.REFUSE, status=403))
    await submitted(house, id="again")
    await run_sql(house, "CREATE TABLE rows.kept AS SELECT * FROM rows.asked LIMIT 3")
    await run_sql(house, "DROP TABLE rows.asked")
    gone = await submitted(house, id="again")
    await run_sql(house, "CREATE TABLE rows.asked AS SELECT * FROM rows.kept")

    status = await submitted(house, id="again")

    assert "bq://demo.rows.asked is not there" in gone.reason
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 3), status.reason


async def test_columns_that_came_since_the_first_look_are_not_asked_for(house: House) -> None:
    """The copy is that of the moment that was written down, columns and all."""
    await filled(house, asked(5))
    house.simulator.faults.add(Fault(method=INSERT, action=Action.REFUSE, status=403))
    await submitted(house, id="again")
    await run_sql(
        house, "CREATE OR REPLACE TABLE rows.asked AS SELECT key, request, 1 AS late FROM rows.asked LIMIT 2"
    )

    status = await submitted(house, id="again")

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 5), status.reason


async def test_a_staged_table_that_is_gone_is_not_sent(house: House) -> None:
    """A job would fail for want of it; a person is told instead, and nothing is paid for."""
    await filled(house, asked(3))
    with house.client() as client:
        sent = client.submit(SOURCE, model=MODEL, store="results")
    await stage(house.services, sent.id)
    (batch,) = house.services.ledger.batches(sent.id)
    await asking(house, lambda google: google.delete_table(batch.input_uri.removeprefix("bq://")))

    status = await house.until_rest(sent.id)

    assert (status.state, house.simulator.accepted) == (SubmissionState.PARKED, [])
    assert "was replaced or deleted after it had been checked" in status.reason


async def test_rows_of_an_expired_table_end_as_they_are(house: House) -> None:
    """They cannot be tried again; the reason says so, and every row is accounted for."""
    await filled(house, asked(6))
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5), match="-0")
    patient = house.with_options(retry_rounds=1, retry_wait_s=0.01)
    with house.client() as client:
        sent = client.submit(SOURCE, model=MODEL, store="results")
    await patient.until(lambda: bool(house.services.ledger.batches(sent.id)[:1] and house.simulator.accepted))
    (batch,) = house.services.ledger.batches(sent.id)
    await patient.until(lambda: house.services.ledger.batch(batch.id).state is BatchState.INGESTED)
    await asking(house, lambda google: google.delete_table(batch.input_uri.removeprefix("bq://")))

    status = await patient.until_rest(sent.id)

    assert status.state is SubmissionState.DONE
    assert (status.counts.total, status.counts.failed > 0) == (6, True)
    assert "staged tables are kept for 30 days" in house.services.ledger.batch(batch.id).reason
