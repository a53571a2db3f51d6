"""Results as JSON Lines in a local directory.

``jsonl:///results`` is relative to the working directory, ``jsonl:////srv/results`` absolute. With
``?compress=zstd`` the parts are packed, with ``?columns=…`` they hold these columns only.
"""

from __future__ import annotations

from vertexq.stores.jsonl_lines import JsonLines
from vertexq.stores.layout import split_layout, take_options
from vertexq.stores.parts_local import LocalShelf, directory_in
from vertexq.stores.parts_store import PartsStore


class JsonlStore(PartsStore):
    """A directory on this machine's disk; the workers that write it must share that disk."""

    def __init__(self, url: str) -> None:
        rest, layout = split_layout(url, tables=False)
        place, options = take_options(rest, "compress")
        lines = JsonLines(layout, compress=options.get("compress", ""))
        super().__init__(url, LocalShelf(directory_in(place, "jsonl")), lines)
