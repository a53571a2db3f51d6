"""The JSONL store keeps the promise of every store."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import zstandard

from tests.contract.older_parts import make_older
from vertexq.stores import Store
from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST
from vertexq.testing.store_rows import SUBMISSION


class TestJsonlStore(StoreContract):
    """A directory of the test's own."""

    keeps_numbers_whole = True
    finds_repeats_itself = False

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"jsonl:///{tmp_path}/results"

    def published(self, store: Store) -> object:
        """Return every file's bytes."""
        folder = Path(store.location(SUBMISSION))
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def narrow(self, store_url: str) -> None:
        """Take the newest columns out of every line."""
        make_older(Path(store_url.removeprefix("jsonl:///")), _narrowed)


class TestPackedJsonlStore(TestJsonlStore):
    """The same with Zstandard."""

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"jsonl:///{tmp_path}/results?compress=zstd"

    def narrow(self, store_url: str) -> None:
        """Take the newest columns out of every line."""
        packing, unpacking = zstandard.ZstdCompressor(), zstandard.ZstdDecompressor()
        root = Path(store_url.removeprefix("jsonl:///").partition("?")[0])
        make_older(root, lambda data: packing.compress(_narrowed(unpacking.decompress(data))))


def _narrowed(data: bytes) -> bytes:
    rows = map(orjson.loads, data.splitlines())
    kept = ({name: value for name, value in row.items() if name not in NEWEST} for row in rows)
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in kept)
