"""The DuckDB store keeps the promise of every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from vertexq.testing import StoreContract


class TestDuckdbStore(StoreContract):
    """A file in the test's own directory."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a file that is not there yet, in a directory that is not there yet."""
        return f"duckdb:///{tmp_path}/results/r.duckdb"
