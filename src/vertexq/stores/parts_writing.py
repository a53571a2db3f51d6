"""Putting one file of a file store on its shelf, with its checksum."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from vertexq.stores.parts import FileEntry
from vertexq.stores.shelf import Shelf

_BLOCK_BYTES = 1 << 20


def put_file(
    shelf: Shelf, folder: str, stem: str, ending: str, data: BinaryIO, *, rows: int, fence: int
) -> FileEntry | None:
    """Write ``data`` from its begin to its end; nothing is written, and None returned, for no rows."""
    if not rows:
        return None
    size_bytes, crc32c = measured(data)
    name = shelf.file_name(stem, ending, fence=fence, crc32c=crc32c)
    data.seek(0)
    generation = shelf.put(folder, name, data)
    return FileEntry(name=name, rows=rows, size_bytes=size_bytes, crc32c=crc32c, generation=generation)


def measured(data: BinaryIO) -> tuple[int, str]:
    """Return a file's size in bytes and its crc32c in hexadecimal."""
    import google_crc32c  # noqa: PLC0415  (a producer that only reads does without)

    data.seek(0)
    size_bytes, value = 0, 0
    while block := data.read(_BLOCK_BYTES):
        size_bytes += len(block)
        value = cast("int", cast("Any", google_crc32c).extend(value, block))
    return size_bytes, f"{value:08x}"
