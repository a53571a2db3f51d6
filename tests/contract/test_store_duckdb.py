"""The DuckDB store keeps the promise of every store."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST


class TestDuckdbStore(StoreContract):
    """A file in the test's own directory."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a file that is not there yet, in a directory that is not there yet."""
        return f"duckdb:///{tmp_path}/results/r.duckdb"

    def narrow(self, store_url: str) -> None:
        """Take the newest columns out of the table."""
        with duckdb.connect(store_url.removeprefix("duckdb:///")) as db:
            for name in NEWEST:
                db.execute(f"ALTER TABLE vertexq_results DROP COLUMN {name}")
