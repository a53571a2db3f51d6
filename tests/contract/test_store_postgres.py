"""The PostgreSQL store keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from vertexq.testing import StoreContract
from vertexq.testing.servers import postgres_server
from vertexq.testing.store_crashes import NEWEST


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """Run one PostgreSQL for this file."""
    with postgres_server() as server:
        yield server.url


class TestPostgresStore(StoreContract):
    """A schema of the test's own in one real server."""

    @pytest.fixture
    def store_url(self, server_url: str) -> str:
        """Make a schema nobody used."""
        schema = f"s{uuid.uuid4().hex}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return f"{server_url}?options=-csearch_path%3D{schema}"

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns."""
        dropped = ", ".join(f"DROP COLUMN {name}" for name in NEWEST)
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE vertexq_results {dropped}".encode())


class TestPartitionedPostgresStore(TestPostgresStore):
    """The same, cut by day."""

    @pytest.fixture
    def store_url(self, server_url: str) -> str:
        """Make a schema nobody used."""
        schema = f"s{uuid.uuid4().hex}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return f"{server_url}?options=-csearch_path%3D{schema}&partition=day"

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns of all days."""
        super().narrow(store_url.removesuffix("&partition=day"))
