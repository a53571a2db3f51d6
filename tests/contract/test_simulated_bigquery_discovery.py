"""What the simulated BigQuery answers is what Google's discovery document promises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from typing import Any, cast

import aiohttp
import pytest

from vertexq.simulator.server import Simulator

Json = Mapping[str, Any]
DOCUMENTS = files("googleapiclient").joinpath("discovery_cache", "documents")
DOCUMENT = cast("Json", json.loads(DOCUMENTS.joinpath("bigquery.v2.json").read_text()))
KINDS: dict[str, type] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": float,
    "array": list,
    "object": dict,
}
BASE = "/bigquery/v2/projects/p"
SCHEMA = {"fields": [{"name": "key", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]}
TABLE = {"projectId": "p", "datasetId": "d", "tableId": "t"}
ROWS = "/datasets/d/tables/t/insertAll"
TAKEN = {"jobReference": {"jobId": "asked"}, "configuration": {"query": {"query": "SELECT 1"}}}
QUERY = {"query": "SELECT key, n FROM d.t", "useLegacySql": False}


def faults_of(value: object, schema: Json, where: str) -> list[str]:
    """Return how ``value`` differs from ``schema``: unknown names and wrong types."""
    if "$ref" in schema:
        schema = DOCUMENT["schemas"][schema["$ref"]]
    if schema["type"] == "any" or value is None:
        return []
    if not isinstance(value, KINDS[schema["type"]]):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        each = enumerate(cast("list[object]", value))
        return [fault for at, item in each for fault in faults_of(item, schema["items"], f"{where}[{at}]")]
    if isinstance(value, dict):
        return [
            fault
            for name, item in cast("dict[str, object]", value).items()
            for fault in _of_member(name, item, schema, where)
        ]
    wrong = schema.get("format") in {"int64", "uint64"} and not str(value).isdigit()
    return [f"{where}: {value!r} is no {schema['format']}"] if wrong else []


def _of_member(name: str, item: object, schema: Json, where: str) -> list[str]:
    below = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
    return faults_of(item, below, f"{where}.{name}") if below else [f"{where}.{name}: unknown"]


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
    assert faults_of(said, {"$ref": schema}, schema) == []


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
