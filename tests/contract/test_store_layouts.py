"""Every store that takes a layout keeps the promise of a layout."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from vertexq.testing import StoreLayoutContract
from vertexq.testing.servers import postgres_server


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """Run one PostgreSQL for this file."""
    with postgres_server() as server:
        yield server.url


class TestPostgresLayout(StoreLayoutContract):
    """A schema of the test's own."""

    @pytest.fixture
    def store_url(self, server_url: str) -> str:
        """Make a schema nobody used."""
        schema = f"s{uuid.uuid4().hex}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return f"{server_url}?options=-csearch_path%3D{schema}"


class TestSqliteLayout(StoreLayoutContract):
    """A file in the test's own directory."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a file that is not there yet."""
        return f"sqlite:///{tmp_path}/r.db"


class TestDuckdbLayout(StoreLayoutContract):
    """A file in the test's own directory."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a file that is not there yet."""
        return f"duckdb:///{tmp_path}/r.duckdb"


class TestJsonlLayout(StoreLayoutContract):
    """A directory of the test's own."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"jsonl:///{tmp_path}/results"


class TestParquetLayout(StoreLayoutContract):
    """A directory of the test's own."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"parquet:///{tmp_path}/results"
