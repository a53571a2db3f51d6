"""The Parquet store keeps the promise of every store."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as untyped_pq  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import pytest

from tests.contract.older_parts import make_older
from vertexq.stores import Store
from vertexq.testing import StoreContract
from vertexq.testing.store_crashes import NEWEST
from vertexq.testing.store_rows import SUBMISSION

pq: Any = untyped_pq


class TestParquetStore(StoreContract):
    """A directory of the test's own."""

    finds_repeats_itself = False

    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        """Name a directory that is not there yet."""
        return f"parquet:///{tmp_path}/results"

    def published(self, store: Store) -> object:
        """Return every file's bytes."""
        folder = Path(store.location(SUBMISSION))
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def narrow(self, store_url: str) -> None:
        """Take the newest columns out of every part."""
        make_older(Path(store_url.removeprefix("parquet:///")), _narrowed)


def _narrowed(data: bytes) -> bytes:
    with BytesIO() as file:
        pq.write_table(pq.read_table(BytesIO(data)).drop_columns(list(NEWEST)), file)
        return file.getvalue()
