"""Reading a batch's manifest, and its staged input line by line beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from vertexq.errors import VertexqError
from vertexq.families import family_for
from vertexq.google.checksum import extend
from vertexq.keys import wire_key
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, GcsUri
from vertexq.sources.tables import is_table
from vertexq.steps.parts import ManifestLine, read_manifest_line
from vertexq.steps.services import Services
from vertexq.steps.table_inputs import requests


class InputChanged(VertexqError):
    """What was staged is not what is there now."""


async def entries(services: Services, batch: Batch) -> AsyncGenerator[ManifestLine]:
    """Yield a batch's rows in the order of their indexes."""
    uri = GcsUri.parse(batch.manifest_uri)
    pinned = await services.storage.info(uri)
    async with aclosing(_lines(services, uri, pinned.generation)) as lines:
        async for line in lines:
            yield read_manifest_line(line)


async def staged(services: Services, batch: Batch) -> AsyncGenerator[tuple[ManifestLine, bytes]]:
    """Yield each row with its line in the input that was sent, without the line's end.

    Rows of a table come as the lines that they would be. Raise ``InputChanged`` when the input does not fit
    the manifest, as when somebody has changed it.
    """
    if is_table(batch.input_uri):
        async with aclosing(_staged_rows(services, batch)) as pairs:
            async for pair in pairs:
                yield pair
        return
    source = _lines(services, GcsUri.parse(batch.input_uri), batch.input_generation)
    async with aclosing(source) as lines, aclosing(entries(services, batch)) as rows:
        async for entry in rows:
            line = await anext(lines, None)
            if line is None or not _is_line(entry, line):
                raise InputChanged(
                    f"line {entry.index} of {batch.input_uri} is not the one that was sent; it was changed "
                    "after it had been staged, so the row cannot be run again"
                )
            yield entry, line


async def _staged_rows(services: Services, batch: Batch) -> AsyncGenerator[tuple[ManifestLine, bytes]]:
    wire = family_for(batch).wire
    async with aclosing(requests(services, batch)) as found, aclosing(entries(services, batch)) as rows:
        async for entry in rows:
            key, request = await anext(found, ("", b""))
            if key != wire_key(entry.index, entry.key):
                raise InputChanged(
                    f"row {entry.index} of {batch.input_uri} is not the one that was staged, so it cannot be "
                    "run again"
                )
            yield entry, wire.line(entry.index, entry.key, request).rstrip(b"\n")


def _is_line(entry: ManifestLine, line: bytes) -> bool:
    """Compare checksums; a manifest from before there were any has none."""
    return entry.crc32c in (0, extend(0, line + b"\n"))


async def _lines(services: Services, uri: GcsUri, generation: int) -> AsyncGenerator[bytes]:
    splitter = LineSplitter(limit_bytes=services.options.line_limit_bytes)
    async for data in services.storage.download(uri, generation=generation):
        for item in splitter.feed(data):
            for line in _whole(item, uri):
                yield line
    for item in splitter.close():
        for line in _whole(item, uri):
            yield line


def _whole(item: Block | Oversized, uri: GcsUri) -> list[bytes]:
    if isinstance(item, Oversized):
        raise VertexqError(f"a line of {uri} has {item.size_bytes} bytes, more than VERTEXQ_LINE_LIMIT_BYTES")
    return [line for line in item.lines if line.strip()]
