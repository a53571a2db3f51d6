"""Gemini from BigQuery to BigQuery: 5,000 rows with failures through broker, worker, Google and store."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import orjson
import pytest

from tests.acceptance.families_house import FamiliesHouse, Ran
from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_for
from vertexq import Outcome, Result
from vertexq.families.gemini_reading import reading
from vertexq.ranks import RANK_BYTE
from vertexq.rows import Unreadable

ROWS = 5_000
HOME = f"{PROJECT}.gemini"
COLUMNS = {"key": "STRING", "request": "JSON", "city": "STRING", "sold": "INTEGER", "day": "DATE"}
HARD = {
    "bad_rows": 0.02, "blocked_rows": 0.03, "cut_rows": 0.02, "quota_rows": 0.05, "server_error_rows": 0.01,
    "missing_rows": 0.02, "repeated_rows": 0.03, "thinking_rows": 0.1,
}  # fmt: skip


def asked(number: int) -> dict[str, Any]:
    """Return a row of the source table."""
    content = {"role": "user", "parts": [{"text": f"Describe offer {number}"}]}
    beside = {"city": "Zürich" if number % 3 else None, "sold": number, "day": "2026-11-21"}
    return {"key": f"offer-{number}", "request": {"contents": [content]}, **beside}


@pytest.fixture
def tables(families: FamiliesHouse) -> Iterator[Api]:
    """Give Google's own client of a dataset with the source table."""
    with closing(client_for(families.google)) as client:
        made = bigquery.Dataset(HOME)
        made.location = "us-central1"
        client.create_dataset(made)
        schema = [bigquery.SchemaField(name, kind) for name, kind in COLUMNS.items()]
        config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=schema)
        data = io.BytesIO(b"".join(orjson.dumps(asked(number)) + b"\n" for number in range(ROWS)))
        client.load_table_from_file(data, f"{HOME}.offers", job_config=config).result()
        yield client


@pytest.mark.timeout(120)
def test_every_row_is_matched_and_accounted_for(families: FamiliesHouse, tables: Api) -> None:
    """What the store says of each row is the best that Google's tables say of it, over all rounds."""
    families.behave("kind=tables", **HARD)

    ran = families.run(
        f"bq://{HOME}.offers", model="gemini-2.5-flash", destination=f"bq://{HOME}", labels={"kind": "tables"}
    )

    wanted = expected(tables, ran)
    assert set(ran.results) == {asked(number)["key"] for number in range(ROWS)}
    assert {key: one.outcome for key, one in ran.results.items()} == wanted
    said = {outcome.value: getattr(ran.status.counts, outcome.value) for outcome in Outcome}
    assert said == {outcome.value: 0 for outcome in Outcome} | dict(Counter(map(str, wanted.values())))
    assert len(set(wanted.values())) >= 3
    assert {number_of(one) for one in ran.results.values() if one.extra} == set(answered(ran))
    assert len({batch.output_prefix for batch in ran.batches}) == len(ran.batches) > 1


def answered(ran: Ran) -> Iterable[int]:
    """Return the numbers of the rows that came back, whatever became of them."""
    return (int(key.rpartition("-")[2]) for key, one in ran.results.items() if one.source_object)


def number_of(result: Result) -> int:
    """Return a row's number by what stood beside its request; it must be what the row had."""
    row = asked(int(result.key.rpartition("-")[2]))
    assert result.extra == {name: row[name] for name in ("city", "sold", "day")}
    return int(row["sold"])


def expected(tables: Api, ran: Ran) -> Mapping[str, Outcome]:
    """Return each row's best outcome in the tables that the jobs wrote; an oracle beside our reading."""
    best = {asked(number)["key"]: Outcome.MISSING for number in range(ROWS)}
    read = reading()
    for batch in ran.batches:
        for row in tables.list_rows(batch.output_directory.removeprefix("bq://")):
            line = orjson.dumps({name: row[name] for name in ("key", "request", "response", "status")})
            try:
                outcome = read(line)[1]
            except Unreadable:
                continue
            key = row["key"].partition("-")[2]
            best[key] = max(best[key], outcome, key=RANK_BYTE.__getitem__)
    return best
