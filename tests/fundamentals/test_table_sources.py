"""A table in BigQuery is a source: copied under keys of ours, read by jobs, matched row by row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import (
    MODEL,
    REQUESTS,
    SOURCE,
    asked,
    filled,
    request,
    run_sql,
    staged_tables,
    submitted,
)
from vertexq import Policy, Result, Status, SubmissionState
from vertexq.simulator.behaviour import Behaviour
from vertexq.steps import stage


def results(house: House, status: Status) -> dict[str, Result]:
    """Return a submission's results by key."""
    with house.client() as client:
        return {row.key: row for row in client.results(status.id)}


async def test_the_rows_of_a_table_are_answered_under_their_keys(house: House) -> None:
    """What stood beside a request comes with its result; the producer's table is left as it was."""
    await filled(house, asked(5))

    status = await submitted(house)

    found = results(house, status)
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 5), status.reason
    assert sorted(found) == [f"k{n}" for n in range(5)]
    assert found["k3"].extra == {"city": "Zürich", "sold": 3}
    assert found["k2"].extra == {"city": None, "sold": 2}
    assert str(found["k2"].source_object).startswith("gs://staging/")


async def test_each_job_reads_a_table_of_its_own(house: House) -> None:
    """Of the copy that the tables were cut from nothing is left; they expire by themselves."""
    await filled(house, asked(7))

    status = await submitted(house.with_options(batch_rows=3))

    batches = house.services.ledger.batches(status.id)
    made = await staged_tables(house)
    assert [batch.rows for batch in batches] == [3, 3, 1]
    assert [batch.input_uri for batch in batches] == [f"bq://demo.rows.{name}" for name in made]
    assert (status.counts.succeeded, len(results(house, status))) == (7, 7)
    assert all(25 < (end - datetime.now(UTC)).days < 31 for end in made.values())


async def test_rows_of_a_table_without_keys_are_called_by_their_numbers(house: House) -> None:
    """Requests may be text, too; every row of a view that selects them is one."""
    await filled(
        house, [{"request": '{"contents": [{"parts": [{"text": "Say"}]}]}'}] * 4, {"request": "STRING"}
    )
    await run_sql(house, "CREATE VIEW rows.seen AS SELECT * FROM rows.asked")

    status = await submitted(house, source="bq://demo.rows.seen")

    found = results(house, status)
    assert (status.counts.succeeded, sorted(found)) == (4, ["0", "1", "2", "3"]), status.reason
    assert found["0"].extra is None


@pytest.mark.parametrize(
    "view",
    [
        "SELECT * FROM rows.asked WHERE RAND() < 0.5",
        "SELECT GENERATE_UUID() AS key, request FROM rows.asked",
    ],
)
async def test_a_view_that_is_never_the_same_is_asked_once(house: House, view: str) -> None:
    """BigQuery runs a view for each place of a query that names it; its rows are taken down before."""
    await filled(house, asked(60))
    await run_sql(house, f"CREATE VIEW rows.seen AS {view}")

    status = await submitted(house, source="bq://demo.rows.seen")

    assert status.state is SubmissionState.DONE, status.reason
    assert 10 < status.counts.succeeded == len(results(house, status)) <= 60
    assert [name for name in await staged_tables(house) if not name.endswith("_00000")] == ["seen"]


async def test_columns_that_jobs_would_leave_out_travel_as_text(house: House) -> None:
    """Arrays, records, moments without a zone: what Google passes over comes back with the result."""
    columns = {"id": "INTEGER", "request": "JSON", "tags": "STRING[]", "at": "DATETIME"}
    row = {"id": 7, "request": request("Say"), "tags": ["a", "b"], "at": "2026-11-21T10:00:00"}
    await filled(house, [row], columns)

    status = await submitted(house, key="id")

    (found,) = results(house, status).values()
    assert (found.key, found.ok) == ("7", True), status.reason
    assert found.extra == {"id": 7, "tags": '["a","b"]', "at": "2026-11-21 10:00:00"}


async def test_rows_are_those_of_one_moment(house: House) -> None:
    """A row that comes while the table is staged is not in it: every look later sees the first one's rows."""
    await filled(house, asked(3))
    with house.client() as client:
        sent = client.submit("bq://demo.rows.asked", model="gemini-2.5-flash", store="results")
    await house.until(lambda: bool(house.services.ledger.batches(sent.id)))
    await run_sql(
        house, "INSERT INTO rows.asked (key, request) SELECT 'late', request FROM rows.asked LIMIT 1"
    )

    status = await house.until_rest(sent.id)

    assert (status.counts.succeeded, "late" in results(house, status)) == (3, False)


async def test_rows_that_may_fare_better_go_into_another_table(house: House) -> None:
    """A round copies just these rows from the staged table, with what stands beside them."""
    await filled(house, asked(6))
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5), match="-0")
    patient = house.with_options(retry_rounds=2, retry_wait_s=0.01, retry_longest_s=0.02)

    status = await submitted(patient)

    first, *later = house.services.ledger.batches(status.id)
    found = results(house, status)
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 6), status.reason
    assert [(found[f"k{n}"].extra or {})["sold"] for n in range(6)] == list(range(6))
    assert later
    assert all(batch.input_uri.startswith("bq://demo.rows.vertexq_in_") for batch in later)
    assert len({first.input_uri, *(batch.input_uri for batch in later)}) == 1 + len(later)


async def test_rows_of_two_tables_are_tried_again_together(house: House) -> None:
    """Small rests of several batches become one table, each row under its own key."""
    await filled(house, asked(12))
    house.simulator.behaviours.set(Behaviour(quota_rows=0.6), match="-0")
    house.simulator.behaviours.set(Behaviour(quota_rows=0.6), match="-1")
    with house.client() as client:
        sent = client.submit(SOURCE, model=MODEL, store="results")
    await stage(house.with_options(batch_rows=6).services, sent.id)

    status = await house.with_options(retry_rounds=1, retry_wait_s=0.01).until_rest(sent.id)

    *_, last = house.services.ledger.batches(status.id)
    assert status.counts.succeeded == 12, status.reason
    assert (last.ordinal, last.round) == (2, 1)
    assert sorted(results(house, status)) == sorted(f"k{n}" for n in range(12))


async def test_columns_may_have_the_names_of_our_own_statements(house: House) -> None:
    """None of them is ambiguous there, and all come back with the result."""
    beside = ("old", "nth", "t", "select", "held", "instance", "predictions", "Größe")
    rows = [{**row, **dict.fromkeys(beside, "x")} for row in asked(6)]
    await filled(house, rows, {**REQUESTS, **dict.fromkeys(beside, "STRING")})
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5), match="-0")

    status = await submitted(house.with_options(retry_rounds=2, retry_wait_s=0.01, retry_longest_s=0.02))

    found = results(house, status)
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 6), status.reason
    assert len(house.services.ledger.batches(status.id)) > 1
    assert found["k4"].extra == {"city": None, "sold": 4, **dict.fromkeys(beside, "x")}


async def test_rows_with_faults_are_set_aside(house: House) -> None:
    """The others run; each that does not ends as failed, with the reason, under its own key if it has one."""
    faulty: list[dict[str, object]] = [
        {"key": "k1", "request": request("again")},
        {"key": None, "request": request("nameless")},
        {"key": "empty", "request": None},
        {"key": "role", "request": {"contents": [{"role": "system", "parts": [{"text": "x"}]}]}},
        {"key": "bare", "request": {"contents": [{"parts": [{"text": "x"}, "y"]}]}},
    ]
    await filled(house, [*asked(3), *faulty])

    status = await submitted(house, policy=Policy(set_aside=True))

    found = results(house, status)
    failed = {str(row.error_message): row.key for row in found.values() if not row.ok}
    rules = {reason.partition(":")[0] for reason in failed}
    assert (status.counts.succeeded, status.counts.failed, len(found)) == (3, 5, 8), status.reason
    assert rules == {"duplicate_key", "key", "request", "role", "parts"}
    assert failed["request: there is no request"] == "empty"
    assert {"k1", "role", "bare"} < set(found)
    assert sum(key.startswith("k1~row") for key in found) == sum(key.startswith("~row") for key in found) == 1


async def test_an_estimate_is_made_in_sql_and_held_to_the_budget(house: House) -> None:
    """Four bytes of a request are a token; what it may answer is what it says, or what is assumed."""
    limited = [
        {"key": f"k{n}", "request": request("Say", generationConfig={"maxOutputTokens": 1000})}
        for n in range(4)
    ]
    await filled(house, limited, {name: REQUESTS[name] for name in ("key", "request")})

    parked = await submitted(house, id="dear", budget_usd=0.0001)
    done = await submitted(house, id="paid", budget_usd=1)

    assert (parked.state, "its budget is" in parked.reason) == (SubmissionState.PARKED, True), parked.reason
    assert done.counts.succeeded == 4
    assert done.estimate is not None
    assert done.estimate.output_tokens == 4000
    assert 80 < done.estimate.input_tokens < 140
