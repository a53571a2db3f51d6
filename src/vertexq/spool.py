r"""The spool: prepared rows as compressed chunks, kept in the ledger until they are staged. No I/O.

A line of a chunk is ``<key as JSON>\t<fingerprint, hex>\t<line number>\t<request as JSON>``; JSON
escapes a tab inside a text, so the first three tabs are ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import orjson

from vertexq.intake import Prepared

CHUNK_BYTES = 1024 * 1024
"""A chunk is closed when it holds this much text; it takes about a tenth of that in the ledger."""


def pack(rows: Iterable[Prepared]) -> Iterator[bytes]:
    """Turn rows into chunks; one chunk of text is in memory at a time."""
    lines: list[bytes] = []
    size_bytes = 0
    for row in rows:
        line = b"%s\t%s\t%d\t%s" % (
            orjson.dumps(row.key),
            row.fingerprint.hex().encode(),
            row.line,
            row.request,
        )
        lines.append(line)
        size_bytes += len(line) + 1
        if size_bytes >= CHUNK_BYTES:
            yield zlib.compress(b"\n".join(lines), 1)
            lines, size_bytes = [], 0
    if lines:
        yield zlib.compress(b"\n".join(lines), 1)


def unpack(chunk: bytes) -> Iterator[Prepared]:
    """Return the rows of a chunk that ``pack`` made."""
    for line in zlib.decompress(chunk).split(b"\n"):
        key, digest, number, request = line.split(b"\t", 3)
        yield Prepared(orjson.loads(key), bytes.fromhex(digest.decode()), request, int(number))
