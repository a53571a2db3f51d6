"""Results as JSON Lines in Cloud Storage: ``jsonl+gs://bucket/prefix``, with the settings of ``jsonl:///``."""

from __future__ import annotations

from typing import ClassVar

from vertexq.stores.jsonl_lines import JsonLines
from vertexq.stores.layout import split_layout, take_options
from vertexq.stores.parts_gs import GcsShelf, prefix_in
from vertexq.stores.parts_store import PartsStore


class JsonlGcsStore(PartsStore):
    """Objects below a prefix of a bucket; workers anywhere may write it."""

    takes_storage_endpoint: ClassVar[bool] = True

    def __init__(self, url: str, *, storage_endpoint: str = "") -> None:
        rest, layout = split_layout(url, tables=False)
        place, options = take_options(rest, "compress")
        lines = JsonLines(layout, compress=options.get("compress", ""))
        shelf = GcsShelf(prefix_in(place, "jsonl"), storage_endpoint=storage_endpoint)
        super().__init__(url, shelf, lines)
