"""Results in a table of BigQuery, from the first row to the last."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp

from tests.fundamentals.house import House
from vertexq import Client, SubmissionState
from vertexq.steps.storebook import StoreBook

URL = "bigquery://demo.results.answers"


async def _with_dataset(house: House) -> House:
    """Return the house with a store in the simulated BigQuery."""
    body = {"datasetReference": {"datasetId": "results"}, "location": "us-central1"}
    base = f"{house.simulator.url}/bigquery/v2/projects/demo"
    async with aiohttp.ClientSession() as http, http.post(f"{base}/datasets", json=body) as answer:
        assert answer.status == 200
    stores = StoreBook({"warehouse": URL}, bigquery_endpoint=house.simulator.url)
    return replace(house, services=replace(house.services, stores=stores))


async def test_answers_land_in_bigquery(house: House) -> None:
    """Each is read once, and is in the table once when all is done."""
    house = await _with_dataset(house)
    environ = {"BIGQUERY_EMULATOR_HOST": house.simulator.url, "VERTEXQ_STORE_WAREHOUSE": URL}
    with Client(environ={**house.environ(), **environ}) as client:
        rows = [f"Say {number}" for number in range(50)]
        submission = client.submit(rows, model="gemini-2.5-flash", store="warehouse")
        status = await house.until_rest(submission.id)
        results = await asyncio.to_thread(lambda: list(client.results(submission.id)))
    await house.services.stores.close()

    assert status.state is SubmissionState.DONE
    assert sorted(int(one.key) for one in results) == list(range(50))
    assert await _rows_in_table(house) == 50


async def _rows_in_table(house: House) -> int:
    """Count the rows of the table itself, as another program sees them."""
    table = f"{house.simulator.url}/bigquery/v2/projects/demo/datasets/results/tables/answers"
    async with aiohttp.ClientSession() as http, http.get(table) as answer:
        return int((await answer.json())["numRows"])
