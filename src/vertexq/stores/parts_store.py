"""A store that keeps one file a chunk on a shelf; the record that names the files is the commit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import cast

from vertexq.results import Chunk, Outcome, QuarantinedLine, Result, SourceRange
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.contest import Contest
from vertexq.stores.parts import (
    MANIFEST,
    FileEntry,
    Part,
    Record,
    decode_quarantine,
    decode_result,
    encode_quarantine,
    encode_rows,
    folder_name,
    lines_of,
    manifest,
    ordered,
    part_stem,
    record_name,
)
from vertexq.stores.shelf import FileGone, Shelf


class PartsStore(Store):
    """JSON Lines in part files, one folder a submission.

    ``chunk.replacing`` must be true: a key that is not in it and was written before is not looked for.
    """

    def __init__(self, url: str, shelf: Shelf) -> None:
        super().__init__(url)
        self._shelf = shelf

    def prepare(self) -> None:
        """Create what is missing."""
        self._shelf.prepare()

    def close(self) -> None:
        """Let go of connections."""
        self._shelf.close()

    def location(self, submission_id: str) -> str:
        """Name the folder; the files to read are in its manifest once the submission is done."""
        return self._shelf.address(folder_name(submission_id))

    def finish(self, submission_id: str, *, repeats: bool = False) -> None:  # noqa: ARG002
        """Drop rows that better ones replaced, remove stray files, then write the manifest."""
        folder = folder_name(submission_id)
        with self._contest(folder) as contest:
            if contest:
                self._drop_losers(folder, contest)
                self._each_record(folder, _settled)
        self._remove_strays(folder)
        self._shelf.publish(folder, MANIFEST, manifest(submission_id, self._records(folder)))

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results part by part, each key once also before ``finish``."""
        folder = folder_name(submission_id)
        with self._contest(folder) as contest:
            for record, part, result in self._rows(folder):
                if contest and contest.loses(result.key, _identity(record, part)):
                    continue
                if outcomes is None or result.outcome in outcomes:
                    yield result

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        folder = folder_name(submission_id)
        for record in self._records(folder):
            for entry in (part.quarantine for part in record.parts):
                if entry:
                    data = self._shelf.read(folder, entry.name, generation=entry.generation)
                    yield from map(decode_quarantine, lines_of(data))

    def _committed(self, source: SourceRange) -> Committed | None:
        seen = self._shelf.seen(folder_name(source.submission_id), record_name(source))
        return Record.from_bytes(seen.data).committed if seen.data else None

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        folder, name = folder_name(chunk.source.submission_id), record_name(chunk.source)
        part: Part | None = None
        committing: bytes | None = None
        with self._shelf.hold(folder, name):
            while True:
                seen = self._shelf.seen(folder, name)
                if committing is not None and seen.data == committing:
                    return  # ours did take effect; only the answer was lost
                record = Record.from_bytes(seen.data) if seen.data else Record.empty(chunk.source)
                admit(chunk, record.committed if seen.data else None, fence=fence)
                part = part or self._put_part(folder, record, chunk, fence=fence)
                committing = record.after(chunk, part, fence=fence).to_bytes()
                if self._shelf.swap(folder, name, committing, version=seen.version):
                    return

    def _put_part(self, folder: str, record: Record, chunk: Chunk, *, fence: int) -> Part:
        rows, contested_rows = ordered(chunk)
        stem = part_stem(record, chunk.start)
        try:
            lines = encode_rows(rows)
        except (TypeError, ValueError) as error:
            raise RowsRefused(f"{self._shelf.address(folder)}: a row cannot be written as JSON") from error
        bad = encode_quarantine(chunk.quarantined)
        return Part(
            start=chunk.start,
            end=chunk.progress.position,
            contested_rows=contested_rows,
            results=self._put(folder, f"part-{stem}", lines, rows=len(rows), fence=fence),
            quarantine=self._put(folder, f"quarantine-{stem}", bad, rows=len(chunk.quarantined), fence=fence),
        )

    def _put(self, folder: str, stem: str, data: bytes, *, rows: int, fence: int) -> FileEntry | None:
        if not rows:
            return None
        crc32c = _crc32c(data)
        name = self._shelf.file_name(stem, fence=fence, crc32c=crc32c)
        generation = self._shelf.put(folder, name, data)
        return FileEntry(name=name, rows=rows, size_bytes=len(data), crc32c=crc32c, generation=generation)

    def _records(self, folder: str) -> Iterator[Record]:
        return map(Record.from_bytes, self._shelf.records(folder))

    def _rows(self, folder: str) -> Iterator[tuple[Record, Part, Result]]:
        for record in self._records(folder):
            for part in record.parts:
                for line in self._lines(folder, record, part):
                    yield record, part, decode_result(line)

    def _lines(self, folder: str, record: Record, part: Part) -> Iterator[bytes]:
        if part.results is None:
            return iter(())
        entry = part.results
        try:
            return lines_of(self._shelf.read(folder, entry.name, generation=entry.generation))
        except FileGone:  # finish() wrote it anew, without rows that lose anyway
            data = self._shelf.seen(folder, record.name).data
            parts = Record.from_bytes(data).parts if data else ()
            now = next((found for found in parts if found.start == part.start), None)
            if now is None or now == part:
                raise
            return self._lines(folder, record, now)

    @contextmanager
    def _contest(self, folder: str) -> Generator[Contest | None]:
        contested = any(part.contested_rows for record in self._records(folder) for part in record.parts)
        with Contest() if contested else nullcontext() as contest:
            if contest:
                contest.enter(self._contested_keys(folder))
                self._let_compete(folder, contest)
            yield contest

    def _contested_keys(self, folder: str) -> Iterator[str]:
        for record in self._records(folder):
            for part in record.parts:
                if part.contested_rows:
                    lines = islice(self._lines(folder, record, part), part.contested_rows)
                    yield from (decode_result(line).key for line in lines)

    def _let_compete(self, folder: str, contest: Contest) -> None:
        for record in self._records(folder):
            for part in record.parts:
                for at, line in enumerate(self._lines(folder, record, part)):
                    original = at >= part.contested_rows
                    contest.offer(decode_result(line), _identity(record, part), original=original)

    def _drop_losers(self, folder: str, contest: Contest) -> None:
        for record in self._records(folder):
            fresh = {part: self._without_losers(folder, record, part, contest) for part in record.parts}
            if any(old is not new for old, new in fresh.items()):
                self._update(folder, record.name, _Swap(fresh))

    def _without_losers(self, folder: str, record: Record, part: Part, contest: Contest) -> Part:
        lines = list(self._lines(folder, record, part))
        keep = [not contest.loses(decode_result(line).key, _identity(record, part)) for line in lines]
        if all(keep) or part.results is None:
            return part
        kept = [line + b"\n" for line, wins in zip(lines, keep, strict=True) if wins]
        # What is dropped only grows, so a name with the number of rows never stands for other bytes.
        stem = f"part-{part_stem(record, part.start)}-{len(kept)}of{len(lines)}"
        entry = self._put(folder, stem, b"".join(kept), rows=len(kept), fence=record.committed.fence)
        return replace(part, results=entry, contested_rows=sum(keep[: part.contested_rows]))

    def _each_record(self, folder: str, change: Callable[[Part], Part]) -> None:
        for record in self._records(folder):
            if any(change(part) != part for part in record.parts):
                self._update(folder, record.name, change)

    def _update(self, folder: str, name: str, change: Callable[[Part], Part]) -> None:
        with self._shelf.hold(folder, name):
            while True:
                seen = self._shelf.seen(folder, name)
                if seen.data is None:
                    return
                record = Record.from_bytes(seen.data)
                data = replace(record, parts=tuple(map(change, record.parts))).to_bytes()
                if data == seen.data or self._shelf.swap(folder, name, data, version=seen.version):
                    return

    def _remove_strays(self, folder: str) -> None:
        """Remove files no record names; those at or behind a range's end may be another writer's and stay."""
        self._shelf.remove_unfinished(folder)
        left = {name for name in self._shelf.names(folder) if name != MANIFEST}
        for record in self._records(folder):
            named = {entry.name for part in record.parts for entry in part.files}
            position = record.committed.progress.position
            for name in sorted(_files_before(left, record, position) - named):
                self._shelf.remove(folder, name)


class _Swap:
    def __init__(self, fresh: Mapping[Part, Part]) -> None:
        self._fresh = fresh

    def __call__(self, part: Part) -> Part:
        return self._fresh.get(part, part)


def _files_before(names: Iterable[str], record: Record, position: int) -> set[str]:
    marker = f"-{record.name}-"
    found = ((name, name.partition(marker)[2]) for name in names)
    return {name for name, tail in found if tail[:16].isdigit() and int(tail[:16]) < position}


def _identity(record: Record, part: Part) -> str:
    return f"{record.name}@{part.start}"


def _settled(part: Part) -> Part:
    return replace(part, contested_rows=0)


def _crc32c(data: bytes) -> str:
    import google_crc32c  # noqa: PLC0415  (a producer that only reads does without)

    value = cast("int", google_crc32c.value(data))  # pyright: ignore[reportUnknownMemberType]
    return f"{value:08x}"
