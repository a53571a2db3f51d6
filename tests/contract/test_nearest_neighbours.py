"""The SQL that the page about stores shows for vectors does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import orjson
import psycopg
import pytest

from vertexq.stores import Store, open_store
from vertexq.testing.store_rows import SUBMISSION, chunk, row

PAGE = Path(__file__).parents[2] / "docs/stores.md"
NEAREST = ["sku-7", "sku-8", "sku-9"]


def shown(store: str) -> str:
    """Return the SQL behind the paragraph of a store, about our submission."""
    _, _, behind = PAGE.read_text().partition(f"**{store}.**")
    found = re.search(r"```sql\n(.*?)```", behind, re.DOTALL)
    assert found is not None
    return found[1].replace("'ID'", f"'{SUBMISSION}'").replace("results/ID/", f"results/{SUBMISSION}/")


def fill(store: Store) -> None:
    """Write vectors each of which is a little further from the seventh."""
    rows = [row(f"sku-{n}", embedding=orjson.dumps([1, n - 7, 0.5])) for n in range(7, 12)]
    store.write(chunk(*rows), fence=1)
    store.finish(SUBMISSION)


def test_postgresql_finds_the_nearest(postgres_url: str) -> None:
    """By pgvector's operator, and with an index."""
    with open_store(f"{postgres_url}?vector=3") as store:
        fill(store)

    query, index, _ = shown("PostgreSQL").split(";")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for statement in (query, index, query):
            cursor = connection.execute(statement.encode())
            found = [key for key, _ in cursor] if cursor.description else NEAREST
            assert found[:3] == NEAREST


@pytest.mark.parametrize("option", ["", "?vector=3"])
def test_duckdb_finds_the_nearest(tmp_path: Path, option: str) -> None:
    """Among lists of a fixed size, or of any."""
    with open_store(f"duckdb:///{tmp_path}/r.duckdb{option}") as store:
        fill(store)

    query = shown("DuckDB") if option else shown("DuckDB").replace("array_cosine", "list_cosine")
    with duckdb.connect(f"{tmp_path}/r.duckdb") as db:
        assert [key for key, _ in db.execute(query).fetchall()][:3] == NEAREST


def test_parquet_is_asked_where_it_is(tmp_path: Path) -> None:
    """By DuckDB, without loading it."""
    with open_store(f"parquet:///{tmp_path}/results") as store:
        fill(store)

    with duckdb.connect() as db:
        query = shown("Parquet").replace("'results/", f"'{tmp_path}/results/")
        assert [key for key, _ in db.execute(query).fetchall()][:3] == NEAREST
