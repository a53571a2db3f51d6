"""Putting one file of a file store on its shelf, with its checksum."""

from __future__ import annotations

from typing import BinaryIO

from vertexq.errors import BadSettings
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
    try:
        from vertexq.google.checksum import extend  # noqa: PLC0415  (a producer that only reads does without)
    except ModuleNotFoundError as error:
        raise BadSettings(
            f"files are written with their checksum, for which the package {error.name} is missing; "
            "pip install 'vertexq[worker]'"
        ) from error

    data.seek(0)
    size_bytes, value = 0, 0
    while block := data.read(_BLOCK_BYTES):
        size_bytes += len(block)
        value = extend(value, block)
    return size_bytes, f"{value:08x}"
