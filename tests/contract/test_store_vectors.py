"""Vectors in the stores' own types: what other programs find there, and columns that were there before."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as untyped_pq  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import pytest

from vertexq.errors import BadSettings
from vertexq.results import Row
from vertexq.stores import open_store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, row, source_range

pq: Any = untyped_pq
OURS = "table=answers&columns=key:id,embedding:vec"
ROWS = [row("a", embedding=b"[0.5, -2, 4]"), row("b"), row("c", embedding=b"[1, 2]")]


def in_duckdb(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Run a statement and return what it gives."""
    with duckdb.connect(str(path)) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize(("option", "kind"), [("", "FLOAT[]"), ("&vector=3", "FLOAT[3]")])
def test_duckdb_has_a_column_of_floats(tmp_path: Path, option: str, kind: str) -> None:
    """Its own functions find the nearest neighbours."""
    path = tmp_path / "r.duckdb"
    with open_store(f"duckdb:///{path}?{OURS}{option}") as store:
        store.write(chunk(*ROWS[:2], row("d", embedding=b"[0.5,-2,4.5]")), fence=1)

    assert in_duckdb(path, "SELECT typeof(vec) FROM answers WHERE id = 'a'") == [(kind,)]
    near = "SELECT id FROM answers WHERE vec[1] = 0.5 ORDER BY list_distance(vec::FLOAT[], [0.5, -2, 5])"
    assert in_duckdb(path, near) == [("d",), ("a",)]


@pytest.mark.parametrize("kind", ["FLOAT[]", "FLOAT[3]", "DOUBLE[]", "DOUBLE[3]", "JSON", "VARCHAR"])
def test_a_column_that_is_there_in_duckdb_is_taken_as_it_is(tmp_path: Path, kind: str) -> None:
    """A vector of another length is set aside whether or not the column would hold it."""
    path = tmp_path / "r.duckdb"
    in_duckdb(path, f"CREATE TABLE answers (id VARCHAR, vec {kind})")

    with open_store(f"duckdb:///{path}?{OURS}&vector=3") as store:
        assert store.write(chunk(*ROWS), fence=1) == {"c"}
        found = {one.key: one.embedding for one in store.results(SUBMISSION)}

    assert found == {"a": [0.5, -2.0, 4.0], "b": None, "c": None}


@pytest.mark.parametrize("kind", ["FLOAT[4]", "INTEGER[]", "FLOAT"])
def test_a_column_of_duckdb_that_cannot_take_vectors_is_refused(tmp_path: Path, kind: str) -> None:
    """When the store is opened, before anything is paid for."""
    path = tmp_path / "r.duckdb"
    in_duckdb(path, f"CREATE TABLE answers (id VARCHAR, vec {kind})")

    with (
        pytest.raises(BadSettings, match="its column vec is"),
        open_store(f"duckdb:///{path}?{OURS}&vector=3"),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "stored"), [("BLOB", b""), ("", b""), ("TEXT", "[0.5,-2,4]"), ("JSON", "[0.5,-2,4]")]
)
def test_sqlite_has_bytes_or_where_it_is_wanted_text(tmp_path: Path, kind: str, stored: bytes | str) -> None:
    """32-bit floats one after the other, as sqlite-vec reads them."""
    path = tmp_path / "r.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE answers (id TEXT PRIMARY KEY, vec {kind})")
        with open_store(f"sqlite:///{path}?{OURS}&vector=3") as store:
            assert store.write(chunk(*ROWS), fence=1) == {"c"}
            found = {one.key: one.embedding for one in store.results(SUBMISSION)}
        (there,) = db.execute("SELECT vec FROM answers WHERE id = 'a'").fetchone()

    assert there == (stored or struct.pack("<3f", 0.5, -2, 4))
    assert found == {"a": [0.5, -2.0, 4.0], "b": None, "c": None}


def parquet_types(root: Path) -> set[str]:
    """Return what Arrow takes the vectors of the parts for."""
    parts = (root / SUBMISSION).glob("part-*.parquet")
    return {str(pq.read_schema(part).field("embedding").type) for part in parts}


def test_parquet_has_lists_of_a_fixed_size_where_all_have_one(tmp_path: Path) -> None:
    """Chunk by chunk, and again when chunks are joined; rows without a vector are null in them."""
    made = [row("a", embedding=b"[0.5, -2, 4]"), row("b")]
    with open_store(f"parquet:///{tmp_path}") as store:
        store.write(chunk(*made), fence=1)
        assert parquet_types(tmp_path) == {"fixed_size_list<element: float not null>[3]"}
        store.write(chunk(row("d", embedding=b"[7, 8, 9]"), start=STEP_BYTES), fence=1)
        store.write(chunk(row("e"), start=2 * STEP_BYTES), fence=1)
        store.finish(SUBMISSION)
        assert parquet_types(tmp_path) == {"fixed_size_list<element: float not null>[3]"}
        found = {one.key: one.embedding for one in store.results(SUBMISSION)}

    assert found == {"a": [0.5, -2.0, 4.0], "b": None, "d": [7.0, 8.0, 9.0], "e": None}
    (read,) = {str(part) for part in (tmp_path / SUBMISSION).glob("part-*.parquet")}
    assert pq.read_table(read).column("embedding").to_pylist() == [
        [0.5, -2.0, 4.0],
        None,
        [7.0, 8.0, 9.0],
        None,
    ]
    total = f"SELECT sum(list_sum(embedding)) FROM '{read}'"
    assert in_duckdb(tmp_path / "any.duckdb", total) == [(26.5,)]


def test_parquet_has_plain_lists_where_lengths_differ(tmp_path: Path) -> None:
    """Also when files of one length each are joined."""
    with open_store(f"parquet:///{tmp_path}") as store:
        store.write(chunk(row("a", embedding=b"[1, 2]")), fence=1)
        store.write(chunk(row("b", embedding=b"[1, 2, 3]"), start=STEP_BYTES), fence=1)
        assert len(parquet_types(tmp_path)) == 2
        store.finish(SUBMISSION)

    assert parquet_types(tmp_path) == {"list<element: float not null>"}


@pytest.mark.parametrize(
    "scheme", ["sqlite:///{}/r.db", "duckdb:///{}/r.duckdb", "parquet:///{}", "jsonl:///{}"]
)
def test_many_vectors_come_back_from_every_chunk(tmp_path: Path, scheme: str) -> None:
    """More than a store takes or reads at once."""
    with open_store(scheme.format(tmp_path)) as store:
        for number in range(2):
            rows = [_numbered(f"{number}-{one}", one) for one in range(1_200)]
            store.write(chunk(*rows, source=source_range(f"b{number}")), fence=1)
        found = {one.key: one.embedding for one in store.results(SUBMISSION)}

    assert found == {
        f"{number}-{one}": [one, 0.5, *[one / 2] * 30] for number in range(2) for one in range(1_200)
    }


def _numbered(key: str, number: int) -> Row:
    return row(key, embedding=str([number, 0.5, *[number / 2] * 30]).encode())


@pytest.mark.parametrize(
    "url", ["sqlite:///r.db", "duckdb:///r.duckdb", "parquet:///r", "jsonl:///r", "bigquery://p.d"]
)
def test_halves_are_refused_where_there_are_none(url: str) -> None:
    """Before anything is connected to; it says what to write."""
    with pytest.raises(BadSettings, match="only PostgreSQL has halfvec; write vector=768"):
        open_store(f"{url}?vector=halfvec:768")
