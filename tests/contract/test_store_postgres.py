"""The PostgreSQL store keeps the promise of every store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from vertexq.testing import StoreContract
from vertexq.testing.servers import postgres_server


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
