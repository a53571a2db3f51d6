"""A store that keeps one file a chunk on a shelf; the record that names the files is the commit."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

from vertexq.results import Chunk, Outcome, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.contest import Contest
from vertexq.stores.parts import (
    MANIFEST,
    FileEntry,
    Part,
    Piece,
    Record,
    decode_quarantine,
    encode_quarantine,
    folder_name,
    manifest,
    ordered,
    part_stem,
    record_name,
)
from vertexq.stores.parts_encoding import Encoding
from vertexq.stores.parts_judged import judgements, pack
from vertexq.stores.parts_publish import Publisher
from vertexq.stores.parts_reading import PartsReader
from vertexq.stores.parts_writing import put_file
from vertexq.stores.poison import unstorable
from vertexq.stores.shelf import Shelf
from vertexq.stores.vectors import misfit


class PartsStore(Store):
    """Rows in part files, one folder a submission; ``encoding`` is the files' format.

    ``chunk.replacing`` must be true: a key that is not in it and was written before is not looked for, but by
    ``finish(repeats=True)`` and by ``results`` before ``finish``.
    """

    def __init__(self, url: str, shelf: Shelf, encoding: Encoding) -> None:
        super().__init__(url)
        self._shelf = shelf
        self._encoding = encoding
        self._reader = PartsReader(shelf, encoding)

    def prepare(self) -> None:
        """Create what is missing."""
        self._shelf.prepare()

    def close(self) -> None:
        """Let go of connections."""
        self._shelf.close()

    def location(self, submission_id: str) -> str:
        """Name the folder; the files to read are in its manifest once the submission is done."""
        return self._shelf.address(folder_name(submission_id))

    def finish(self, submission_id: str, *, repeats: bool = False) -> None:
        """Drop rows that better ones replaced, join small parts, remove stray files, write the manifest."""
        folder = folder_name(submission_id)
        publisher = Publisher(self._shelf, self._encoding, folder)
        with self._contest(folder, every_key=repeats) as contest:
            publisher.rewrite(contest)
            publisher.settle(contest)
        publisher.remove_strays()
        content = manifest(
            submission_id,
            self._reader.records(folder),
            file_format=self._encoding.name,
            columns=[name for _, name in self._encoding.layout.names],
        )
        self._shelf.publish(folder, MANIFEST, content)

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results part by part, each key once also before ``finish``."""
        folder = folder_name(submission_id)
        with self._contest(folder, every_key=self._may_repeat(folder)) as contest:
            for found in self._reader.results(folder, submission_id=submission_id):
                if contest and (
                    not contest.knows(found.place) or contest.loses(found.result.key, found.place)
                ):
                    continue
                if outcomes is None or found.result.outcome in outcomes:
                    yield found.result

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        return map(decode_quarantine, self._reader.quarantined(folder_name(submission_id)))

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

    def _refusal(self, rows: Sequence[Row]) -> str:
        return unstorable(rows) or misfit(rows, self._encoding.layout.vector, wide=self._encoding.wide)

    def _put_part(self, folder: str, record: Record, chunk: Chunk, *, fence: int) -> Part:
        rows, contested_rows = ordered(chunk)
        stem, ending = part_stem(record, chunk.start), self._encoding.ending
        try:
            data = self._encoding.encode(rows) if rows else b""
        except (TypeError, ValueError, OverflowError) as error:
            raise RowsRefused(f"{self._shelf.address(folder)}: a row cannot be written") from error
        judged = "" if self._encoding.layout.is_judged else pack(judgements(rows))
        bad = encode_quarantine(chunk.quarantined)

        def put(stem: str, ending: str, data: bytes, rows: int) -> FileEntry | None:
            return put_file(self._shelf, folder, stem, ending, BytesIO(data), rows=rows, fence=fence)

        return Part(
            start=chunk.start,
            end=chunk.progress.position,
            results=put(f"part-{stem}", ending, data, len(rows)),
            quarantine=put(f"quarantine-{stem}", ".jsonl", bad, len(chunk.quarantined)),
            pieces=(Piece(chunk.start, len(rows), contested_rows, judged),),
        )

    def _may_repeat(self, folder: str) -> bool:
        """Tell whether several ranges, not yet settled, may hold the same key unknown to each other."""
        with_rows = [r for r in self._reader.records(folder) if any(part.results for part in r.parts)]
        return len(with_rows) > 1 and any(not part.settled for r in with_rows for part in r.parts)

    @contextmanager
    def _contest(self, folder: str, *, every_key: bool) -> Generator[Contest | None]:
        records = self._reader.records(folder)
        if not every_key and not any(part.contested_rows for record in records for part in record.parts):
            yield None
            return
        with Contest(every_key=every_key) as contest:
            if not every_key:
                contest.enter(self._reader.contested_keys(folder))
            contest.offer(self._reader.candidates(folder))
            yield contest
