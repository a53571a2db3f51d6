"""``vertexq quarantine``: output lines of a submission that could not be read, matched or held."""

from __future__ import annotations

from itertools import chain, islice
from typing import Annotated, Any

import typer

import vertexq
from vertexq.cli.outlet import reader_may_leave
from vertexq.cli.reporting import LIMIT_MOST, AsJson, SubmissionId, reported, say, say_json
from vertexq.plain import one_line
from vertexq.results import QuarantinedLine

COLUMNS = ("object", "generation", "offset", "bytes", "reason")


def quarantine(
    submission_id: SubmissionId,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also the line's first kilobyte, escaped; it may hold an answer.")
    ] = False,
    store: Annotated[
        str | None, typer.Option("--store", "-s", help="Which of its stores to read (the first).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=LIMIT_MOST, help="At most this many lines.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name the lines of Google's output that are in no row: where each one is, and why it was set aside."""
    with reported(as_json=as_json), vertexq.Client() as client, reader_may_leave():
        lines = islice(client.quarantine(submission_id, store=store), limit)
        if as_json:
            for line in lines:
                say_json(_json(line, raw=raw))
            return
        first = list(islice(lines, 1))  # what cannot be read is said before there is a heading
        say("\t".join((*COLUMNS, *(("raw",) if raw else ()))))
        for line in chain(first, lines):
            say("\t".join(_cells(line, raw=raw)))


def _cells(line: QuarantinedLine, *, raw: bool) -> list[str]:
    return [
        one_line(line.source_object),
        str(line.source_generation),
        str(line.source_offset),
        str(line.size_bytes),
        one_line(line.reason),
        *([escaped(line.raw)] if raw else []),
    ]


def _json(line: QuarantinedLine, *, raw: bool) -> dict[str, Any]:
    return {
        "batch_id": line.batch_id,
        "source_object": line.source_object,
        "source_generation": line.source_generation,
        "source_offset": line.source_offset,
        "size_bytes": line.size_bytes,
        "reason": line.reason,
        **({"raw": escaped(line.raw)} if raw else {}),
    }


def escaped(raw: bytes) -> str:
    r"""Return bytes as text on one line: what is not UTF-8, or not fit for a terminal, as an escape."""
    return one_line(raw.decode("utf-8", "backslashreplace"))
