"""Google's own client finds datasets, tables and rows in the simulated BigQuery as in Google's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_with_dataset, errors
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

FIELD = bigquery.SchemaField


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Run one simulator for this file."""
    with running_simulator() as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Api]:
    """Give Google's client and an empty dataset ``d``."""
    with client_with_dataset(simulator) as made:
        yield made


def test_datasets_are_made_once_and_found(client: Api) -> None:
    """A dataset has its location; a second of the same name is a conflict, an unknown one is not found."""
    assert client.get_dataset("d").location == "us-central1"
    assert [each.dataset_id for each in client.list_datasets()] == ["d"]
    with pytest.raises(errors.Conflict, match="Already Exists: Dataset simulated-project:d"):
        client.create_dataset("d")
    with pytest.raises(errors.NotFound, match="Not found: Dataset simulated-project:nowhere"):
        client.get_dataset("nowhere")


def test_a_dataset_in_use_stays(client: Api) -> None:
    """It is deleted with its tables when that is asked for."""
    client.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD("a", "STRING")]))

    with pytest.raises(errors.BadRequest, match="still in use"):
        client.delete_dataset("d")


def test_tables_are_made_once_and_found(client: Api) -> None:
    """Columns come back as they were given, with modes, nesting, partitioning and clustering."""
    schema = [
        FIELD("key", "STRING", mode="REQUIRED", description="the key"),
        FIELD("at", "TIMESTAMP"),
        FIELD("parts", "RECORD", mode="REPEATED", fields=[FIELD("n", "INTEGER"), FIELD("t", "STRING")]),
    ]
    table = bigquery.Table(f"{PROJECT}.d.t", schema=schema)
    table.time_partitioning = bigquery.TimePartitioning(field="at")
    table.clustering_fields = ["key"]
    client.create_table(table)

    found = client.get_table("d.t")

    assert found.schema == schema
    assert (found.time_partitioning.field, found.clustering_fields) == ("at", ["key"])
    assert [each.table_id for each in client.list_tables("d")] == ["t"]
    with pytest.raises(errors.Conflict, match="Already Exists: Table"):
        client.create_table(table)


def test_columns_are_added_and_rows_keep_their_place(client: Api) -> None:
    """Old rows have null there; taking a column away is refused."""
    table = client.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD("a", "STRING")]))
    client.insert_rows_json(table, [{"a": "old"}])
    table.schema = [*table.schema, FIELD("b", "INTEGER")]

    table = client.update_table(table, ["schema"])
    client.insert_rows_json(table, [{"a": "new", "b": 1}])

    assert sorted(tuple(row) for row in client.list_rows("d.t")) == [("new", 1), ("old", None)]
    table.schema = [FIELD("b", "INTEGER")]
    with pytest.raises(errors.BadRequest, match="missing in new schema"):
        client.update_table(table, ["schema"])


def test_a_change_of_what_somebody_else_changed_is_refused(client: Api) -> None:
    """``If-Match`` with an old etag is 412."""
    table = client.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD("a", "STRING")]))
    again = client.get_table("d.t")
    again.description = "changed"
    client.update_table(again, ["description"])

    table.description = "too late"

    with pytest.raises(errors.PreconditionFailed):
        client.update_table(table, ["description"])
    assert client.get_table("d.t").description == "changed"


def test_every_type_comes_back(client: Api) -> None:
    """Values of every type are inserted and listed as the client writes and reads them."""
    kinds = [
        "STRING",
        "BYTES",
        "INTEGER",
        "FLOAT",
        "NUMERIC",
        "BOOLEAN",
        "TIMESTAMP",
        "DATE",
        "TIME",
        "DATETIME",
        "JSON",
    ]
    table = client.create_table(
        bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD(kind.lower(), kind) for kind in kinds])
    )
    values = {
        "string": "é\u2028\x00\"'",
        "bytes": "AP8=",
        "integer": 2**63 - 1,
        "float": 0.1,
        "numeric": "12345678901234567890.123456789",
        "boolean": True,
        "timestamp": "2026-11-21T10:11:12.345678Z",
        "date": "2026-11-21",
        "time": "10:11:12.5",
        "datetime": "2026-11-21T10:11:12",
        "json": {"a": [1, None]},
    }

    assert client.insert_rows_json(table, [values, {}]) == []

    full, empty = (dict(row) for row in client.list_rows("d.t"))
    assert (full["string"], full["bytes"], full["integer"]) == (values["string"], b"\x00\xff", 2**63 - 1)
    assert (full["float"], str(full["numeric"])) == (0.1, values["numeric"])
    assert full["timestamp"] == datetime(2026, 11, 21, 10, 11, 12, 345678, tzinfo=UTC)
    assert (full["date"].isoformat(), full["time"].isoformat()) == ("2026-11-21", "10:11:12.500000")
    assert (full["datetime"].isoformat(), full["json"]) == ("2026-11-21T10:11:12", {"a": [1, None]})
    assert set(empty.values()) == {None}


def test_an_inserted_row_is_there_once(client: Api) -> None:
    """The same ``insertId`` is one row; a bad row stops the others, unless they are to be skipped."""
    table = client.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD("n", "INTEGER")]))
    for _ in range(2):
        assert client.insert_rows_json(table, [{"n": 1}], row_ids=["one"]) == []

    refused = client.insert_rows_json(table, [{"n": 2}, {"n": "two"}], row_ids=["2", "3"])
    skipped = client.insert_rows_json(table, [{"n": 4}, {"m": 5}], row_ids=["4", "5"], skip_invalid_rows=True)

    assert sorted(error["index"] for error in refused) == [0, 1]
    assert [(each["index"], each["errors"][0]["reason"]) for each in skipped] == [(1, "invalid")]
    assert sorted(row.n for row in client.list_rows("d.t")) == [1, 4]


def test_rows_are_listed_in_pages(client: Api) -> None:
    """Pages of the asked size, every row once; from a start index; some columns."""
    table = client.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=[FIELD("n", "INTEGER")]))
    client.insert_rows_json(table, [{"n": number} for number in range(25)])

    pages = [list(page) for page in client.list_rows("d.t", page_size=10).pages]

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [row.n for page in pages for row in page] == list(range(25))
    assert [row.n for row in client.list_rows("d.t", start_index=23)] == [23, 24]
