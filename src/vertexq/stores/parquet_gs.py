"""Results as Parquet in Cloud Storage: ``parquet+gs://bucket/prefix``, with the settings of ``parquet:///``."""

from __future__ import annotations

from typing import ClassVar

from vertexq.stores.layout import split_layout
from vertexq.stores.parquet_file import CHUNK_BYTES, CHUNK_ROWS, ParquetFile
from vertexq.stores.parts_gs import GcsShelf, prefix_in
from vertexq.stores.parts_store import PartsStore


class ParquetGcsStore(PartsStore):
    """Objects below a prefix of a bucket; workers anywhere may write it."""

    takes_storage_endpoint: ClassVar[bool] = True
    chunk_rows: ClassVar[int | None] = CHUNK_ROWS
    chunk_bytes: ClassVar[int | None] = CHUNK_BYTES

    def __init__(self, url: str, *, storage_endpoint: str = "") -> None:
        place, layout = split_layout(url, tables=False)
        shelf = GcsShelf(prefix_in(place, "parquet"), storage_endpoint=storage_endpoint)
        super().__init__(url, shelf, ParquetFile(layout))
