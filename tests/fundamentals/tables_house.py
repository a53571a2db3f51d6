"""A dataset in the simulated BigQuery, and its tables, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import ended, running_job
from vertexq import Client
from vertexq.model import Batch

DATASET = "bq://demo.answers"
MODEL = "gemini-2.5-flash"
CLAUDE = "publishers/anthropic/models/claude-sonnet-4-5"
LLAMA = "publishers/meta/models/llama-4-maverick-17b-128e-instruct-maas"
_BASE = "/bigquery/v2/projects/demo/datasets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset of the project ``demo``, over plain HTTP."""

    http: aiohttp.ClientSession
    name: str

    async def make(self, location: str = "us-central1") -> None:
        """Make it."""
        reference = {"projectId": "demo", "datasetId": self.name}
        await self._call("POST", _BASE, {"datasetReference": reference, "location": location})

    async def tables(self) -> list[str]:
        """Return the names of its tables."""
        said = await self._call("GET", f"{_BASE}/{self.name}/tables")
        return [each["tableReference"]["tableId"] for each in said.get("tables", [])]

    async def drop(self, table: str) -> None:
        """Delete a table."""
        async with self.http.delete(f"{_BASE}/{self.name}/tables/{table}") as answer:
            assert answer.status == 204

    async def label(self, table: str) -> None:
        """Change a table's metadata."""
        async with self.http.patch(
            f"{_BASE}/{self.name}/tables/{table}", json={"labels": {"seen": "yes"}}
        ) as answer:
            assert answer.status == 200

    async def run(self, sql: str) -> None:
        """Run a statement to its end; ``{home}`` in it is the dataset."""
        query = {"query": sql.replace("{home}", f"demo.{self.name}"), "useLegacySql": False}
        await self._call("POST", "/bigquery/v2/projects/demo/queries", {**query, "location": "us-central1"})

    async def fill(
        self,
        table: str,
        columns: Mapping[str, str],
        rows: list[dict[str, Any]],
        *,
        write: str = "WRITE_EMPTY",
    ) -> None:
        """Write rows into a table with these columns, by their types."""
        load = {
            "destinationTable": {"projectId": "demo", "datasetId": self.name, "tableId": table},
            "schema": {"fields": [{"name": name, "type": kind} for name, kind in columns.items()]},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "writeDisposition": write,
        }
        body = {"jobReference": {"location": "us-central1"}, "configuration": {"load": load}}
        url, params = "/upload/bigquery/v2/projects/demo/jobs", {"uploadType": "resumable"}
        async with self.http.post(url, params=params, json=body) as answer:
            session = answer.headers["Location"]
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        async with self.http.put(session, data=data) as answer:
            assert "errorResult" not in (said := await answer.json())["status"], said

    async def _call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        async with self.http.request(verb, path, json=body) as answer:
            said: dict[str, Any] = await answer.json()
            assert answer.status == 200, said
            return said


WRITTEN = {"key": "STRING", "request": "JSON", "response": "JSON", "status": "STRING"}
"""Columns of an output table."""


def row(line: bytes) -> dict[str, Any]:
    """Return an output line of a file as the row of a table."""
    found: dict[str, Any] = json.loads(line)
    return found


async def ended_in_table(
    house: House, client: Client, *, rows: int, table: str = "out", store: str = "results"
) -> Batch:
    """Go on until the only job of a submission has ended; its output is a table, which tests write."""
    batch = await running_job(house, client, rows=rows, store=store)
    address = f"{DATASET}.{table}"
    return ended(
        house,
        house.services.ledger.update_batch(batch, output_prefix=address, output_directory=address),
    )


@asynccontextmanager
async def dataset(
    house: House, name: str = "answers", location: str = "us-central1"
) -> AsyncGenerator[Dataset]:
    """Make a dataset and give it."""
    async with aiohttp.ClientSession(house.simulator.url) as http:
        made = Dataset(http=http, name=name)
        await made.make(location)
        yield made
