"""The JSONL store keeps the promise of every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from vertexq.stores import Store
from vertexq.testing import StoreContract
from vertexq.testing.store_rows import SUBMISSION


class TestJsonlStore(StoreContract):
    """A directory of the test's own."""

    finds_repeats_itself = False

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"jsonl:///{tmp_path}/results"

    def published(self, store: Store) -> object:
        """Return every file's bytes."""
        folder = Path(store.location(SUBMISSION))
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class TestPackedJsonlStore(TestJsonlStore):
    """The same with Zstandard."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"jsonl:///{tmp_path}/results?compress=zstd"
