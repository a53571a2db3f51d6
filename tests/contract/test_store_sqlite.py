"""The SQLite store keeps the promise of every store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vertexq.errors import PositionMoved
from vertexq.stores import open_store
from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, row, source_range


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


def test_rows_go_to_the_file_that_is_there_now(tmp_path: Path) -> None:
    """Somebody removes it while a worker has it open: nothing is written where nobody looks."""
    url, file = f"sqlite:///{tmp_path}/r.db", tmp_path / "r.db"
    with open_store(url) as store:
        store.write(chunk(row("before")), fence=1)
        file.rename(tmp_path / "aside.db")
        assert store.progress(source_range()).position == 0
        with pytest.raises(PositionMoved):
            store.write(chunk(row("b"), start=STEP_BYTES), fence=1)
        store.write(chunk(row("after")), fence=1)
        with open_store(url) as reader:
            assert [one.key for one in reader.results(SUBMISSION)] == ["after"]
