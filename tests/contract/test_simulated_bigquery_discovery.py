"""What the simulated BigQuery answers is what Google's discovery document promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests.contract.discovery_schemas import discovery_document, faults_of
from vertexq.simulator.server import Simulator

Json = Mapping[str, Any]
SCHEMAS: Json = discovery_document("bigquery.v2")["schemas"]
BASE = "/bigquery/v2/projects/p"
SCHEMA = {"fields": [{"name": "key", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]}
TABLE = {"projectId": "p", "datasetId": "d", "tableId": "t"}
ROWS = "/datasets/d/tables/t/insertAll"
TAKEN = {"jobReference": {"jobId": "asked"}, "configuration": {"query": {"query": "SELECT 1"}}}
QUERY = {"query": "SELECT key, n FROM d.t", "useLegacySql": False}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with a table ``d.t`` and a query job ``asked``."""
    async with Simulator() as simulator, aiohttp.ClientSession(simulator.url) as session:
        for path, body in (
            ("/datasets", {"datasetReference": {"datasetId": "d"}}),
            ("/datasets/d/tables", {"tableReference": TABLE, "schema": SCHEMA}),
            ("/datasets/d/tables/t/insertAll", {"rows": [{"json": {"key": "a", "n": 1}}]}),
            ("/jobs", {"jobReference": {"jobId": "asked"}, "configuration": {"query": QUERY}}),
        ):
            async with session.post(BASE + path, json=body) as answer:
                assert answer.status == 200, await answer.text()
        yield session


ANSWERS: list[tuple[str, str, Json | None, str]] = [
    ("GET", "/datasets", None, "DatasetList"),
    ("GET", "/datasets/d", None, "Dataset"),
    ("POST", "/datasets", {"datasetReference": {"datasetId": "e"}, "location": "EU"}, "Dataset"),
    ("GET", "/datasets/d/tables", None, "TableList"),
    ("GET", "/datasets/d/tables/t", None, "Table"),
    ("PATCH", "/datasets/d/tables/t", {"description": "x", "schema": SCHEMA}, "Table"),
    ("GET", "/datasets/d/tables/t/data", None, "TableDataList"),
    ("POST", ROWS, {"rows": [{"json": {}}]}, "TableDataInsertAllResponse"),
    ("POST", ROWS, {"rows": [{"json": {"x": 1}}]}, "TableDataInsertAllResponse"),
    ("GET", "/jobs", None, "JobList"),
    ("GET", "/jobs/asked", None, "Job"),
    ("POST", "/jobs", {"configuration": {"query": {**QUERY, "query": "SELECT nothing"}}}, "Job"),
    ("POST", "/jobs/asked/cancel", None, "JobCancelResponse"),
    ("POST", "/queries", QUERY, "QueryResponse"),
    ("POST", "/queries", {**QUERY, "query": "DELETE FROM d.t WHERE TRUE"}, "QueryResponse"),
    ("GET", "/queries/asked?maxResults=1", None, "GetQueryResultsResponse"),
]


@pytest.mark.parametrize(("verb", "path", "body", "schema"), ANSWERS)
async def test_an_answer_is_of_the_documented_form(
    http: aiohttp.ClientSession, verb: str, path: str, body: Json | None, schema: str
) -> None:
    """No field that the document does not know, and every value of its type."""
    async with http.request(verb, BASE + path, json=body) as answer:
        said: object = await answer.json()

    assert answer.status == 200
    assert faults_of(said, {"$ref": schema}, schema, SCHEMAS) == []


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "reason"),
    [
        ("GET", "/datasets/d/tables/x", None, 404, "notFound"),
        ("GET", "/jobs/unknown", None, 404, "notFound"),
        ("POST", "/datasets", {"datasetReference": {"datasetId": "d"}}, 409, "duplicate"),
        ("POST", "/jobs", TAKEN, 409, "duplicate"),
        ("POST", "/jobs", {"configuration": {}}, 400, "invalid"),
        ("POST", "/queries", {"query": "SELECT 1"}, 400, "invalidQuery"),
        ("DELETE", "/datasets/d", None, 400, "resourceInUse"),
    ],
)
async def test_a_refusal_is_worded_as_google_does(
    http: aiohttp.ClientSession, verb: str, path: str, body: Json | None, status: int, reason: str
) -> None:
    """The status, the old list of errors with a reason, and the status word."""
    async with http.request(verb, BASE + path, json=body) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"], error["errors"][0]["reason"]) == (status, status, reason)
    assert error["status"] in {"NOT_FOUND", "ALREADY_EXISTS", "INVALID_ARGUMENT"}
