"""The SQLite store keeps the promise of every store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST


class TestSqliteStore(StoreContract):
    """A file in the test's own directory."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a file that is not there yet, in a directory that is not there yet."""
        return f"sqlite:///{tmp_path}/results/r.db"

    def narrow(self, store_url: str) -> None:
        """Drop the newest columns."""
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as db:
            for name in NEWEST:
                db.execute(f"ALTER TABLE vertexq_results DROP COLUMN {name}")
