"""Results as Parquet in a local directory.

``parquet:///results`` is relative to the working directory, ``parquet:////srv/results`` absolute. With
``?columns=…`` the parts hold these columns only.
"""

from __future__ import annotations

from typing import ClassVar

from vertexq.stores.layout import split_layout
from vertexq.stores.parquet_file import CHUNK_BYTES, CHUNK_ROWS, ParquetFile
from vertexq.stores.parts_local import LocalShelf, directory_in
from vertexq.stores.parts_store import PartsStore


class ParquetStore(PartsStore):
    """A directory on this machine's disk; the workers that write it must share that disk."""

    chunk_rows: ClassVar[int | None] = CHUNK_ROWS
    chunk_bytes: ClassVar[int | None] = CHUNK_BYTES

    def __init__(self, url: str) -> None:
        place, layout = split_layout(url, tables=False)
        super().__init__(url, LocalShelf(directory_in(place, "parquet")), ParquetFile(layout))
