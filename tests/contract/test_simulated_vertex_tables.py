"""Simulated jobs that read and write tables, in all four pairs, and what they refuse."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.simulated_jobs import JOBS, SLOW, Desk, body, desk, keyed, prompt, state_of
from tests.contract.simulated_tables import (
    REQUESTS,
    columns_of,
    fill,
    make_dataset,
    reading,
    rows_of,
    writing,
    written_by,
)
from vertexq.simulator.behaviour import Behaviour

OUT = "bq://my-project.prompts.out"
genai: Any = importlib.import_module("google.genai")
credentials: Any = importlib.import_module("google.oauth2.credentials")


@pytest.fixture
async def at() -> AsyncIterator[Desk]:
    """Give a simulator with three prompts in an object, a dataset in the jobs' region, and one in the US."""
    async with desk(rows=keyed(3)) as made:
        await make_dataset(made)
        await make_dataset(made, "far", "US")
        yield made


async def test_a_job_reads_a_table_and_writes_one_under_the_name_it_was_given(at: Desk) -> None:
    """Columns that stand beside the request come along; those of types that cannot do not."""
    columns = {**REQUESTS, "day": "DATE", "score": "FLOAT", "local": "DATETIME"}
    rows = [
        {**prompt("Say a", key="r0-a"), "day": "2026-11-21", "score": 0.5, "local": "2026-11-21T00:00:00"}
    ]
    await fill(at, "questions", columns, rows)

    job = await at.ran(inputConfig=reading("questions"), outputConfig=writing(OUT))

    assert written_by(job) == OUT
    names = ["key", "request", "day", "score", "response", "status", "processed_time"]
    assert list(await columns_of(at, OUT)) == names
    [row] = await rows_of(at, OUT)
    assert (row["key"], row["day"], row["score"], row["status"]) == ("r0-a", "2026-11-21", "0.5", "")
    assert json.loads(row["request"]) == rows[0]["request"]
    assert "candidates" in json.loads(row["response"])


async def test_requests_may_be_text(at: Desk) -> None:
    """A column ``request`` of type STRING holds JSON, and comes back as text."""
    row = prompt("Say a", key="r0-a")
    await fill(
        at, "texts", {"key": "STRING", "request": "STRING"}, [{**row, "request": json.dumps(row["request"])}]
    )

    job = await at.ran(inputConfig=reading("texts"), outputConfig=writing(OUT))

    assert (await columns_of(at, written_by(job)))["request"] == "STRING"
    assert job["completionStats"] == {"successfulCount": "1"}


async def test_from_cloud_storage_into_a_dataset_the_table_is_named_by_the_time(at: Desk) -> None:
    """What stood beside the requests is a column, and ``outputInfo`` names the halves apart."""
    job = await at.ran(outputConfig=writing("bq://my-project.prompts"))

    assert job["outputInfo"]["bigqueryOutputDataset"] == "bq://my-project.prompts"
    assert re.fullmatch(r"predictions_\d{4}_\d\d_\d\dT\w+", job["outputInfo"]["bigqueryOutputTable"])
    keys = {row["key"] for row in await rows_of(at, written_by(job))}
    assert keys == {"r0-x", "r1-x", "r2-x"}


async def test_from_a_table_into_cloud_storage_columns_are_fields(at: Desk) -> None:
    """No union of keys: it was no import of JSON Lines."""
    await fill(at, "questions", {**REQUESTS, "n": "INTEGER"}, [{**prompt("Say a", key="r0-a"), "n": 7}])

    [row] = await at.rows_of_run(inputConfig=reading("questions"))

    assert (row["key"], row["n"], row["request"]) == ("r0-a", 7, prompt("Say a")["request"])


async def test_a_row_of_a_table_is_never_cut_in_half(at: Desk) -> None:
    """As a line of a file may be."""
    at.simulator.behaviours.set(Behaviour(corrupt_rows=1.0))

    job = await at.ran(outputConfig=writing(OUT))

    assert (job["state"], len(await rows_of(at, written_by(job)))) == ("JOB_STATE_SUCCEEDED", 3)


async def test_a_project_alone_gets_a_dataset_of_its_own(at: Desk) -> None:
    """The table in it is called ``predictions``."""
    job = await at.ran(outputConfig=writing("bq://my-project"))

    assert re.fullmatch(r"bq://my-project\.prediction_gemini_2_5_flash_\w+\.predictions", written_by(job))
    assert len(await rows_of(at, written_by(job))) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputConfig": reading("nothing")}, "Failed to import data. Not found: Table"),
        ({"inputConfig": reading("names")}, "has no column request of type JSON or STRING"),
        ({"outputConfig": writing("bq://my-project.far.t")}, "was not found in location us-central1"),
        ({"outputConfig": writing("bq://my-project.prompts.names")}, "Already Exists: Table my-project"),
    ],
)  # fmt: skip
async def test_a_job_fails_that_cannot_read_or_write(at: Desk, changes: dict[str, object], said: str) -> None:
    """Create takes it; the job then says why."""
    await fill(at, "names", {"name": "STRING"}, [{"name": "x"}])

    job = await at.ran(**changes)

    assert state_of(job) == "FAILED"
    assert said in job["error"]["message"]


async def test_an_output_table_may_be_there_when_the_behaviour_says_so(at: Desk) -> None:
    """Google's texts do not agree on this."""
    at.simulator.behaviours.set(Behaviour(table_may_exist=True))
    await at.ran(outputConfig=writing(OUT))

    job = await at.ran(outputConfig=writing(OUT))

    assert state_of(job) == "SUCCEEDED"
    assert len(await rows_of(at, OUT)) == 6


async def test_failed_rows_have_a_status_and_no_response(at: Desk) -> None:
    """``response`` is NULL or an empty object then, and text when the behaviour says so."""
    at.simulator.behaviours.set(Behaviour(bad_rows=1.0, response_as_text=True))

    job = await at.ran(outputConfig=writing(OUT))

    assert job["completionStats"] == {"failedCount": "3"}
    assert (await columns_of(at, OUT))["response"] == "STRING"
    rows = await rows_of(at, OUT)
    assert {row["response"] for row in rows} <= {None, "{}"}
    assert all(row["status"].startswith("Bad Request") for row in rows)


async def test_a_cancelled_job_exports_what_it_has_done() -> None:
    """The table appears with the rows so far."""
    async with desk(rows=keyed(500), timing=SLOW) as made:
        await make_dataset(made)
        job = await made.create(outputConfig=writing(OUT))
        await made.when(job["name"], lambda job: "successfulCount" in job.get("completionStats", {}))

        await made.call("POST", f"/v1/{job['name']}:cancel", json={})
        job = await made.ended(job["name"])

        assert state_of(job) == "CANCELLED"
        assert 0 < len(await rows_of(made, OUT)) == int(job["completionStats"]["successfulCount"]) < 500


@pytest.mark.parametrize("uri", ["gs://b/t", "bq://", "bq://p.d.t.x", "bq://p.d/t"])
async def test_an_address_that_is_none_is_refused(at: Desk, uri: str) -> None:
    """It is not of the form ``bq://project.dataset.table``."""
    status, said = await at.call("POST", JOBS, json=body(outputConfig=writing(uri)))

    assert (status, "bq:// URI" in said["error"]["message"]) == (400, True)


async def test_models_that_choose_their_table_take_a_dataset_only(at: Desk) -> None:
    """The sentence is Google's (googleapis/python-aiplatform#1615)."""
    at.simulator.models.add("123", kind="automl-image", display_name="flowers")
    model = "projects/my-project/locations/us-central1/models/123"
    await at.put([{"content": "gs://prompts/a.jpg", "mimeType": "image/jpeg"}])

    status, said = await at.call("POST", JOBS, json=body(model=model, outputConfig=writing(OUT)))
    job = await at.ran(model=model, outputConfig=writing("bq://my-project.prompts"))

    assert (status, said["error"]["message"]) == (400, "Table name is not allowed in Bigquery output uri")
    assert set(await columns_of(at, written_by(job))) >= {"content", "prediction"}


async def test_googles_own_client_runs_a_job_from_table_to_table(at: Desk) -> None:
    """google-genai names both as it documents, and reads the state as it does for files."""
    await fill(at, "questions", REQUESTS, [prompt("Say a", key="r0-a")])

    def run() -> str:
        client = genai.Client(
            vertexai=True, project="my-project", location="us-central1",
            credentials=credentials.Credentials(token="fake"), http_options={"base_url": at.simulator.url},
        )  # fmt: skip
        try:
            config = {"display_name": "b1", "dest": OUT}
            source = "bq://my-project.prompts.questions"
            name: str = client.batches.create(model="gemini-2.5-flash", src=source, config=config).name
        finally:
            client.close()
        return name

    name = await asyncio.to_thread(run)
    job = await at.ended(name)

    assert state_of(job) == "SUCCEEDED"
    assert [row["key"] for row in await rows_of(at, OUT)] == ["r0-a"]
