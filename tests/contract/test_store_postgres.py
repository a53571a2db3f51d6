"""The PostgreSQL store keeps the promise of every store."""

from __future__ import annotations

import psycopg
import pytest

from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST


class TestPostgresStore(StoreContract):
    """A schema of the test's own in one real server."""

    @pytest.fixture
    def store_url(self, schema_url: str) -> str:
        """Name a schema nobody used."""
        return schema_url

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns."""
        dropped = ", ".join(f"DROP COLUMN {name}" for name in NEWEST)
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE vertexq_results {dropped}".encode())


class TestPartitionedPostgresStore(TestPostgresStore):
    """The same, cut by day."""

    @pytest.fixture
    def store_url(self, schema_url: str) -> str:
        """Name a schema nobody used."""
        return f"{schema_url}&partition=day"

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns of all days."""
        super().narrow(store_url.removesuffix("&partition=day"))
