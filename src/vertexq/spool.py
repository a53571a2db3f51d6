r"""The spool: prepared rows as compressed chunks, kept in the ledger until they are staged. No I/O.

A line of a chunk is the fields of ``Prepared`` with tabs between them, the request last: key and reason as
JSON, the fingerprint in hex, numbers in decimal. JSON escapes a tab in a text, so the first tabs are ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import orjson

from vertexq.check.verdict import Prepared

CHUNK_BYTES = 1024 * 1024
"""A chunk is closed when it holds this much text; it takes about a tenth of that in the ledger."""
_FIELDS = len(Prepared._fields)


def pack(rows: Iterable[Prepared]) -> Iterator[bytes]:
    """Turn rows into chunks; one chunk of text is in memory at a time."""
    lines: list[bytes] = []
    size_bytes = 0
    for row in rows:
        lines.append(_line(row))
        size_bytes += len(lines[-1]) + 1
        if size_bytes >= CHUNK_BYTES:
            yield zlib.compress(b"\n".join(lines), 1)
            lines, size_bytes = [], 0
    if lines:
        yield zlib.compress(b"\n".join(lines), 1)


def unpack(chunk: bytes) -> Iterator[Prepared]:
    """Return the rows of a chunk that ``pack`` made."""
    for line in zlib.decompress(chunk).split(b"\n"):
        key, digest, number, group, inputs, outputs, reason, request = line.split(b"\t", _FIELDS - 1)
        yield Prepared(
            orjson.loads(key),
            bytes.fromhex(digest.decode()),
            request,
            int(number),
            int(group),
            int(inputs),
            int(outputs),
            orjson.loads(reason) if reason else "",
        )


def _line(row: Prepared) -> bytes:
    key, digest, request, number, group, inputs, outputs, reason = row
    return b"%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s" % (
        orjson.dumps(key),
        digest.hex().encode(),
        number,
        group,
        inputs,
        outputs,
        orjson.dumps(reason) if reason else b"",
        request,
    )
