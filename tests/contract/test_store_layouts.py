"""Every store that takes a layout keeps the promise of a layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from vertexq.testing import StoreLayoutContract


class TestPostgresLayout(StoreLayoutContract):
    """A schema of the test's own."""

    @pytest.fixture
    def store_url(self, schema_url: str) -> str:
        """Name a schema nobody used."""
        return schema_url


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
