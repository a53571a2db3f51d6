"""Tables of the simulated BigQuery, filled and read over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.contract.simulated_jobs import Desk, Json

PROJECT = "my-project"
DATASET = "prompts"
_BASE = f"/bigquery/v2/projects/{PROJECT}/datasets"
REQUESTS = {"key": "STRING", "request": "JSON"}


def reading(table: str) -> Json:
    """Return the ``inputConfig`` of a job that reads a table."""
    uri = f"bq://{PROJECT}.{DATASET}.{table}"
    return {"instancesFormat": "bigquery", "bigquerySource": {"inputUri": uri}}


def writing(uri: str) -> Json:
    """Return the ``outputConfig`` of a job that writes to BigQuery."""
    return {"predictionsFormat": "bigquery", "bigqueryDestination": {"outputUri": uri}}


async def make_dataset(desk: Desk, dataset: str = DATASET, location: str = "us-central1") -> None:
    """Make a dataset."""
    reference = {"projectId": PROJECT, "datasetId": dataset}
    status, said = await desk.call("POST", _BASE, json={"datasetReference": reference, "location": location})
    assert status == 200, said


async def fill(
    desk: Desk,
    table: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, object]],
    *,
    dataset: str = DATASET,
) -> None:
    """Make a table with these columns, by their types, and these rows."""
    load = {
        "destinationTable": {"projectId": PROJECT, "datasetId": dataset, "tableId": table},
        "schema": {"fields": [{"name": name, "type": kind} for name, kind in columns.items()]},
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
    }
    body = {"jobReference": {"location": "us-central1"}, "configuration": {"load": load}}
    url, params = f"/upload/bigquery/v2/projects/{PROJECT}/jobs", {"uploadType": "resumable"}
    async with desk.http.post(url, params=params, json=body) as answer:
        session = answer.headers["Location"]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    async with desk.http.put(session, data=data) as answer:
        assert "errorResult" not in (said := await answer.json())["status"], said


async def columns_of(desk: Desk, address: str) -> dict[str, str]:
    """Return the columns of ``bq://project.dataset.table`` and their types."""
    _, dataset, table = address.split(".")
    _, said = await desk.call("GET", f"{_BASE}/{dataset}/tables/{table}")
    return {field["name"]: field["type"] for field in said["schema"]["fields"]}


async def rows_of(desk: Desk, address: str) -> list[dict[str, Any]]:
    """Return the rows of a table, their values as ``tabledata.list`` writes them."""
    _, dataset, table = address.split(".")
    names = list(await columns_of(desk, address))
    _, said = await desk.call("GET", f"{_BASE}/{dataset}/tables/{table}/data")
    values = ([cell["v"] for cell in row["f"]] for row in said.get("rows", []))
    return [dict(zip(names, each, strict=True)) for each in values]


def written_by(job: Json) -> str:
    """Return where a job has written, as ``bq://project.dataset.table``."""
    info = job["outputInfo"]
    return f"{info['bigqueryOutputDataset']}.{info['bigqueryOutputTable']}"
