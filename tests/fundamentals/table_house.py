"""Tables for a house: written with Google's own client into the simulated BigQuery."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from tests.fundamentals.house import House
from vertexq import Status

T = TypeVar("T")
bigquery: Any = importlib.import_module("google.cloud.bigquery")
_credentials: Any = importlib.import_module("google.auth.credentials")
PROJECT, REGION = "demo", "us-central1"
SOURCE = f"bq://{PROJECT}.rows.asked"
MODEL = "gemini-2.5-flash"
REQUESTS = {"key": "STRING", "request": "JSON", "city": "STRING", "sold": "INTEGER"}


def opened(url: str) -> Any:
    """Return Google's client of the simulator at ``url``; close it."""
    return bigquery.Client(
        project=PROJECT,
        credentials=_credentials.AnonymousCredentials(),
        client_options={"api_endpoint": url},
        location=REGION,
    )


def request(text: str, **more: object) -> dict[str, object]:
    """Return a request with one text."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def asked(rows: int, *, text: str = "Say") -> list[dict[str, object]]:
    """Return rows with keys, requests and two more columns."""
    return [
        {"key": f"k{n}", "request": request(f"{text} {n}"), "city": "Zürich" if n % 2 else None, "sold": n}
        for n in range(rows)
    ]


def make(
    client: Any, rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, region: str = REGION
) -> None:
    """Make the dataset and the table ``rows.asked`` with these rows."""
    dataset = bigquery.Dataset(f"{PROJECT}.rows")
    dataset.location = region
    client.create_dataset(dataset)
    fields = [
        bigquery.SchemaField(
            name, kind.removesuffix("[]"), mode="REPEATED" if kind.endswith("[]") else "NULLABLE"
        )
        for name, kind in columns.items()
    ]
    client.create_table(bigquery.Table(f"{PROJECT}.rows.asked", schema=fields))
    if rows:
        data = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=fields)
        client.load_table_from_file(
            data, f"{PROJECT}.rows.asked", job_config=config, location=region
        ).result()


async def filled(
    house: House,
    rows: Sequence[Mapping[str, object]],
    columns: Mapping[str, str] = REQUESTS,
    *,
    region: str = REGION,
) -> None:
    """Make the source table."""
    await asking(house, lambda client: make(client, rows, columns, region=region))


async def asking(house: House, ask: Callable[[Any], T]) -> T:
    """Return what Google's client is told when it asks, in a thread of its own."""
    client = opened(house.simulator.url)
    try:
        return await asyncio.to_thread(ask, client)
    finally:
        client.close()


async def run_sql(house: House, sql: str) -> None:
    """Run a statement."""
    await asking(house, lambda client: client.query_and_wait(sql))


async def staged_tables(house: House) -> dict[str, datetime]:
    """Return when each table beside the source expires, by its name, in order."""

    def ask(client: Any) -> dict[str, datetime]:
        names = sorted(each.table_id for each in client.list_tables("rows") if each.table_id != "asked")
        return {name: client.get_table(f"rows.{name}").expires for name in names}

    return await asking(house, ask)


async def submitted(house: House, source: str = SOURCE, *, model: str = MODEL, **options: Any) -> Status:
    """Enqueue a table and go on until the submission rests."""
    with house.client() as client:
        sent = client.submit(source, model=model, store="results", **options)
    return await house.until_rest(sent.id)
