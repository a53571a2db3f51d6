"""Local files and open streams as sources."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

from vertexq.errors import BadSource
from vertexq.intake import Intake, Prepared
from vertexq.sources.kinds import Format, format_of
from vertexq.sources.reader import SourceReader, rows_of_records
from vertexq.sources.records import parquet_records

READ_BYTES = 1024 * 1024

_ADVICE = {
    errno.ENOENT: "Check the name; one that starts with no / counts from the current directory",
    errno.EISDIR: "Name one JSON Lines file in it",
    errno.EACCES: "Allow this user to read it",
}


def rows_of_file(path: Path, intake: Intake, *, line_limit_bytes: int) -> Iterator[list[Prepared]]:
    """Yield the rows of a file, some at a time; raise ``BadSource`` when it cannot be read."""
    if format_of(path.name) is Format.PARQUET:
        yield from rows_of_records(parquet_records(path), intake, intake.lines)
        return
    try:
        with path.open("rb") as file:
            yield from rows_of_stream(file, str(path), intake, line_limit_bytes=line_limit_bytes)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "See whether its disk is well")
        raise BadSource(f"{path} cannot be read: {error.strerror}; nothing was sent. {advice}.") from error


def rows_of_stream(
    stream: BufferedIOBase, name: str, intake: Intake, *, line_limit_bytes: int
) -> Iterator[list[Prepared]]:
    """Yield the rows of an open stream to its end, some at a time; ``name`` tells its format."""
    reader = SourceReader(name, intake, line_limit_bytes=line_limit_bytes)
    for chunk in iter(lambda: stream.read(READ_BYTES), b""):
        yield from reader.feed(chunk)
    yield from reader.close()
