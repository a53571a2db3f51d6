"""The files of a file store: part files, the record of a range that names them, the manifest. No I/O.

A part holds one chunk; once a submission is finished, it holds those of a range. Nothing reads a part that no
record names, so writing the record is the commit.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vertexq.errors import BadInput
from vertexq.results import Chunk, Progress, QuarantinedLine, Row, SourceRange
from vertexq.stores.base import Committed

MANIFEST = "_MANIFEST.json"
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,63}")
_OF_RECORD = re.compile(r"-(?P<record>[0-9a-f]{16})-(?P<start>[0-9]{16})(?![0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One written file. ``crc32c`` is in hexadecimal; ``generation`` is 0 on a local disk."""

    name: str
    rows: int
    size_bytes: int
    crc32c: str
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows that one chunk left in a part: it began at byte ``start`` of the source.

    The first ``contested_rows`` of its ``rows`` may repeat keys of other pieces. ``judged`` holds each row's
    outcome and attempt where the layout leaves them out; see ``parts_judged``.
    """

    start: int
    rows: int
    contested_rows: int
    judged: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What consecutive chunks left: bytes ``start`` to ``end`` of the source. An empty file is not written.

    ``pieces`` stand in ``results`` in this order. A part is ``settled`` once no key of it is in another part.
    """

    start: int
    end: int
    results: FileEntry | None
    quarantine: FileEntry | None
    pieces: tuple[Piece, ...]
    settled: bool = False

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Return the files there are."""
        return tuple(entry for entry in (self.results, self.quarantine) if entry)

    @property
    def contested_rows(self) -> int:
        """Count the rows that may repeat keys of other pieces."""
        return sum(piece.contested_rows for piece in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All a file store knows of a range; ``name`` is the record's own, safe as a file name."""

    name: str
    batch_id: str
    committed: Committed
    parts: tuple[Part, ...] = ()

    def after(self, chunk: Chunk, part: Part, *, fence: int) -> Record:
        """Return the record once ``chunk`` is in ``part``."""
        parts = (*self.parts, part) if part.files else self.parts
        return replace(self, committed=Committed(chunk.progress, fence), parts=parts)

    def to_bytes(self) -> bytes:
        """Write the record as JSON, the same bytes for the same record."""
        progress = self.committed.progress
        return orjson.dumps(
            {
                "version": 1,
                "name": self.name,
                "batch_id": self.batch_id,
                "position": progress.position,
                "state": base64.b64encode(progress.state).decode(),
                "fence": self.committed.fence,
                "parts": self.parts,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Read what ``to_bytes`` wrote."""
        read: dict[str, Any] = orjson.loads(data)
        progress = Progress(position=read["position"], state=base64.b64decode(read["state"]))
        return cls(
            name=read["name"],
            batch_id=read["batch_id"],
            committed=Committed(progress, read["fence"]),
            parts=tuple(_part(part) for part in read["parts"]),
        )

    @classmethod
    def empty(cls, source: SourceRange) -> Record:
        """Return the record of a range never written."""
        start = Progress(position=source.start)
        return cls(name=record_name(source), batch_id=source.batch_id, committed=Committed(start, 0))


def _part(read: dict[str, Any]) -> Part:
    files = {name: FileEntry(**read[name]) if read[name] else None for name in ("results", "quarantine")}
    results, contested_rows = files["results"], read.get("contested_rows", 0)
    rows = results.rows if results else 0
    whole = {"start": read["start"], "rows": rows, "contested_rows": contested_rows}  # of a former version
    return Part(
        start=read["start"],
        end=read["end"],
        results=results,
        quarantine=files["quarantine"],
        pieces=tuple(Piece(**piece) for piece in read.get("pieces", [whole])),
        settled=read.get("settled", not contested_rows),
    )


def folder_name(submission_id: str) -> str:
    """Return the folder of a submission; raise ``BadInput`` for an id that is not safe as a name."""
    if not _SAFE.fullmatch(submission_id) or not submission_id.strip("."):
        raise BadInput(
            f"submission id {submission_id!r} cannot name a folder; use 1 to 63 of A-Z a-z 0-9 . _ -"
        )
    return submission_id


def record_name(source: SourceRange) -> str:
    """Return a short name for a range: 16 hexadecimal digits of its id's SHA-256."""
    return hashlib.sha256(source.id.encode()).hexdigest()[:16]


def part_stem(record: Record, start: int) -> str:
    """Return the name, without its kind and ending, of what the chunk at ``start`` leaves."""
    batch = record.batch_id if _SAFE.fullmatch(record.batch_id) else "batch"
    return f"{batch}-{record.name}-{start:016d}"


def merged_stem(record: Record, parts: Sequence[Part], rows: int) -> str:
    """Return the name of what ``parts`` become with ``rows`` rows left.

    Rows that lose are dropped for good, so the same bytes of the source with as many rows are the same file.
    """
    return f"{part_stem(record, parts[0].start)}-{parts[-1].end}-{rows}"


def named(names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return, for each record's name, the files that are its own by their names, and where each starts."""
    found: dict[str, dict[str, int]] = {}
    for name in names:
        if match := _OF_RECORD.search(name):
            found.setdefault(match["record"], {})[name] = int(match["start"])
    return found


def ordered(chunk: Chunk) -> tuple[Sequence[Row], int]:
    """Return the rows with those that may repeat earlier keys first, and how many those are."""
    if not chunk.replacing:
        return chunk.rows, 0
    first = [row for row in chunk.rows if row.key in chunk.replacing]
    return [*first, *(row for row in chunk.rows if row.key not in chunk.replacing)], len(first)


def encode_quarantine(lines: Iterable[QuarantinedLine]) -> bytes:
    """Write one JSON object a line; ``raw`` is base64."""
    return b"".join(orjson.dumps(line.to_json(), option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def decode_quarantine(line: bytes) -> QuarantinedLine:
    """Read a line that ``encode_quarantine`` wrote."""
    read: dict[str, Any] = orjson.loads(line)
    read["raw"] = base64.b64decode(read["raw"])
    return QuarantinedLine(**read)


def manifest(
    submission_id: str, records: Iterable[Record], *, file_format: str, columns: Sequence[str]
) -> bytes:
    """Write the manifest: the same records give the same bytes."""
    parts = [part for record in records for part in record.parts]
    results = sorted((p.results for p in parts if p.results), key=lambda entry: entry.name)
    quarantine = sorted((p.quarantine for p in parts if p.quarantine), key=lambda entry: entry.name)
    content = {
        "version": 1,
        "submission_id": submission_id,
        "format": file_format,
        "columns": columns,
        "rows": sum(entry.rows for entry in results),
        "bytes": sum(entry.size_bytes for entry in results),
        "parts": [_published(entry) for entry in results],
        "quarantined_lines": sum(entry.rows for entry in quarantine),
        "quarantine": [_published(entry) for entry in quarantine],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _published(entry: FileEntry) -> dict[str, str | int]:
    return {"name": entry.name, "rows": entry.rows, "bytes": entry.size_bytes, "crc32c": entry.crc32c}
