"""Finishing a submission in a file store: rows that lose are dropped, small parts joined, strays removed.

Every step is safe to repeat and to be killed in: a new file is put beside the old ones, then the record names
it instead of them, then what no record names is removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from vertexq.errors import StoreRefused
from vertexq.stores.contest import Contest
from vertexq.stores.parts import MANIFEST, FileEntry, Part, Piece, Record, merged_stem, named
from vertexq.stores.parts_encoding import Encoding, Source
from vertexq.stores.parts_judged import pack, unpack
from vertexq.stores.parts_reading import PartsReader, place_of
from vertexq.stores.parts_writing import measured, put_file
from vertexq.stores.shelf import Shelf

JOINED_BYTES = 256 * 2**20
"""How much of Google's output goes into one joined file, at most, unless one chunk is larger."""


class Publisher:
    """Makes what is in a folder ready for other programs."""

    def __init__(self, shelf: Shelf, encoding: Encoding, folder: str) -> None:
        self._shelf = shelf
        self._encoding = encoding
        self._folder = folder
        self._reader = PartsReader(shelf, encoding)

    def rewrite(self, contest: Contest | None) -> None:
        """Write parts anew that have a row that loses, or that are small and stand beside others."""
        for record in self._reader.records(self._folder):
            groups = _groups(record.parts, small_bytes=self._encoding.small_bytes)
            fresh = {group: self._joined(record, group, contest) for group in groups}
            if any((part,) != group for group, part in fresh.items()):
                self._update(record.name, partial(_exchanged, fresh=fresh))

    def settle(self, contest: Contest | None) -> None:
        """Note that no key is in two parts any more; a part that came after the contest is not settled."""
        for record in self._reader.records(self._folder):
            change = partial(_settled, record=record, contest=contest)
            if change(record.parts) != record.parts:
                self._update(record.name, change)

    def remove_strays(self) -> None:
        """Remove files no record names; those at or behind a range's end may be another writer's and stay."""
        self._shelf.remove_unfinished(self._folder)
        files = named(name for name in self._shelf.names(self._folder) if name != MANIFEST)
        for record in self._reader.records(self._folder):
            kept = {entry.name for part in record.parts for entry in part.files}
            position = record.committed.progress.position
            for name, start in sorted(files.get(record.name, {}).items()):
                if start < position and name not in kept:
                    self._shelf.remove(self._folder, name)

    def _joined(self, record: Record, group: tuple[Part, ...], contest: Contest | None) -> Part:
        if len(group) == 1 and self._may_stay(record, group[0], contest):
            return group[0]
        keeps = [_Keep(record, part, contest) if contest else None for part in group]
        with TemporaryFile() as rows:
            self._encoding.merge(self._sources(group, keeps), cast("BinaryIO", rows))
            pieces = tuple(
                piece
                for part, keep in zip(group, keeps, strict=True)
                for piece in (keep.pieces() if keep else part.pieces)
            )
            left = sum(piece.rows for piece in pieces)
            results = self._put(record, group, "part", self._encoding.ending, cast("BinaryIO", rows), left)
        return Part(
            start=group[0].start,
            end=group[-1].end,
            results=results,
            quarantine=self._quarantined(record, group),
            pieces=pieces,
            settled=all(part.settled for part in group),
        )

    def _sources(self, group: Sequence[Part], keeps: Sequence[_Keep | None]) -> Iterator[Source]:
        for part, keep in zip(group, keeps, strict=True):
            if part.results:
                with self._reader.opened(self._folder, part.results) as file:
                    self._verify(file, part.results)
                    yield Source(file, part.results.name, keep)

    def _quarantined(self, record: Record, group: Sequence[Part]) -> FileEntry | None:
        entries = [part.quarantine for part in group if part.quarantine]
        if len(entries) <= 1:
            return entries[0] if entries else None
        with TemporaryFile() as lines:
            for entry in entries:
                with self._reader.opened(self._folder, entry) as file:
                    self._verify(file, entry)
                    shutil.copyfileobj(file, lines)
            count = sum(entry.rows for entry in entries)
            return self._put(record, group, "quarantine", ".jsonl", cast("BinaryIO", lines), count)

    def _put(
        self, record: Record, group: Sequence[Part], kind: str, ending: str, data: BinaryIO, rows: int
    ) -> FileEntry | None:
        stem = f"{kind}-{merged_stem(record, group, rows)}"
        fence = record.committed.fence
        return put_file(self._shelf, self._folder, stem, ending, data, rows=rows, fence=fence)

    def _verify(self, file: BinaryIO, entry: FileEntry) -> None:
        if measured(file) != (entry.size_bytes, entry.crc32c):
            raise StoreRefused(
                f"{self._shelf.address(self._folder, entry.name)} is damaged: its size or checksum is not "
                "what was written; nothing was removed"
            )
        file.seek(0)

    def _may_stay(self, record: Record, part: Part, contest: Contest | None) -> bool:
        if contest is None or not _has_competed(record, part, contest):
            return True
        return not self._reader.any_row(self._folder, record, part, contest.loses)

    def _update(self, name: str, change: Callable[[tuple[Part, ...]], tuple[Part, ...]]) -> None:
        with self._shelf.hold(self._folder, name):
            while True:
                seen = self._shelf.seen(self._folder, name)
                if seen.data is None:
                    return
                record = Record.from_bytes(seen.data)
                data = replace(record, parts=change(record.parts)).to_bytes()
                if data == seen.data or self._shelf.swap(self._folder, name, data, version=seen.version):
                    return


class _Keep:
    """Which rows of a part stay, asked for one after the other; then, what its pieces have become."""

    def __init__(self, record: Record, part: Part, contest: Contest) -> None:
        self._contest = contest
        self._pieces = part.pieces
        self._places = [place for piece in part.pieces for place in [place_of(record, piece)] * piece.rows]
        self._stays: list[bool] = []

    def __call__(self, key: str) -> bool:
        place = self._places[len(self._stays)]
        stays = not (self._contest.knows(place) and self._contest.loses(key, place))
        self._stays.append(stays)
        return stays

    def pieces(self) -> Iterator[Piece]:
        """Return the pieces with the rows that stayed."""
        at = 0
        for piece in self._pieces:
            stays = self._stays[at : at + piece.rows]
            judged = (
                [one for one, kept in zip(unpack(piece.judged), stays, strict=True) if kept]
                if piece.judged
                else []
            )
            yield Piece(
                piece.start,
                sum(stays),
                sum(stays[: piece.contested_rows]),
                pack(judged) if piece.judged else "",
            )
            at += piece.rows


def _groups(parts: Sequence[Part], *, small_bytes: float) -> Iterator[tuple[Part, ...]]:
    """Put neighbours together that are small on average; groups of groups are the same groups."""
    for group in _neighbours(parts):
        if group[-1].end - group[0].start < small_bytes * len(group):
            yield group
        else:
            yield from ((part,) for part in group)


def _neighbours(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Put neighbours together as long as they fit into one file."""
    groups: list[tuple[Part, ...]] = []
    room_bytes = 0
    for part in parts:
        span_bytes = part.end - part.start
        if not groups or span_bytes > room_bytes:
            groups.append(())
            room_bytes = JOINED_BYTES
        groups[-1] += (part,)
        room_bytes -= span_bytes
    return groups


def _exchanged(parts: tuple[Part, ...], fresh: Mapping[tuple[Part, ...], Part]) -> tuple[Part, ...]:
    """Return ``parts`` with those of each group replaced, where all of the group are still there."""
    by_start = {group[0].start: group for group in fresh}
    found: list[Part] = []
    at = 0
    while at < len(parts):
        group = by_start.get(parts[at].start, ())
        whole = bool(group) and parts[at : at + len(group)] == group
        found.append(fresh[group] if whole else parts[at])
        at += len(group) if whole else 1
    return tuple(found)


def _settled(parts: tuple[Part, ...], *, record: Record, contest: Contest | None) -> tuple[Part, ...]:
    return tuple(_settle(part) if _has_competed(record, part, contest) else part for part in parts)


def _has_competed(record: Record, part: Part, contest: Contest | None) -> bool:
    if contest is None:
        return not part.contested_rows
    return all(contest.knows(place_of(record, piece)) for piece in part.pieces if piece.rows)


def _settle(part: Part) -> Part:
    pieces = tuple(replace(piece, contested_rows=0) for piece in part.pieces)
    return replace(part, pieces=pieces, settled=True)
