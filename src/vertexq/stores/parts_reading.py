"""Reading a file store: rows with the place they stand at, while ``finish`` may write the files anew.

A place is a piece: the rows that one chunk left, in whichever file they are now.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import BinaryIO, NamedTuple, TypeVar

from vertexq.errors import StoreRefused
from vertexq.results import Outcome, Result
from vertexq.stores.contest import Candidate
from vertexq.stores.parts import FileEntry, Part, Piece, Record
from vertexq.stores.parts_encoding import Encoding, Verdict
from vertexq.stores.parts_judged import Judgement, unpack
from vertexq.stores.shelf import FileGone, Shelf

_T = TypeVar("_T")
_Read = Callable[[BinaryIO, str], Iterator[_T]]
_Placed = Iterator[tuple[Piece, int, _T]]
"""Rows, each with its piece and its number in it."""


class Found(NamedTuple):
    """A row, and the place it stands at."""

    place: str
    result: Result


class PartsReader:
    """What is in the folders of a shelf."""

    def __init__(self, shelf: Shelf, encoding: Encoding) -> None:
        self._shelf = shelf
        self._encoding = encoding

    def records(self, folder: str) -> Iterator[Record]:
        """Stream the records of a folder, in the order of their names."""
        return map(Record.from_bytes, self._shelf.records(folder))

    def results(self, folder: str, *, submission_id: str) -> Iterator[Found]:
        """Stream all rows, also those that lose."""

        def read(file: BinaryIO, name: str) -> Iterator[Result]:
            return self._encoding.results(file, name, submission_id=submission_id)

        for record, part in self._parts(folder):
            for piece, at, result in self._rows(folder, record, part, read):
                yield Found(place_of(record, piece), _with_judgement(result, piece, at))

    def contested_keys(self, folder: str) -> Iterator[str]:
        """Stream the keys that may be in several pieces."""
        for record, part in self._parts(folder):
            if part.contested_rows:
                for piece, at, verdict in self._rows(folder, record, part, self._encoding.verdicts):
                    if at < piece.contested_rows:
                        yield verdict.key

    def candidates(self, folder: str) -> Iterator[Candidate]:
        """Stream what decides between rows of a key, for every row."""
        for record, part in self._parts(folder):
            for piece, at, verdict in self._rows(folder, record, part, self._encoding.verdicts):
                yield _candidate(verdict, piece, at, place=place_of(record, piece))

    def any_row(self, folder: str, record: Record, part: Part, judge: Callable[[str, str], bool]) -> bool:
        """Tell whether ``judge``, given a key and its place, says so of any row of ``part``."""
        found = self._rows(folder, record, part, self._encoding.verdicts)
        return any(judge(verdict.key, place_of(record, piece)) for piece, _, verdict in found)

    def quarantined(self, folder: str) -> Iterator[bytes]:
        """Stream the quarantined lines as they are stored."""
        for _, part in self._parts(folder):
            if part.quarantine:
                with self.opened(folder, part.quarantine) as file:
                    yield from file

    @contextmanager
    def opened(self, folder: str, entry: FileEntry) -> Generator[BinaryIO]:
        """Open a file of a part."""
        with self._shelf.open(folder, entry.name, generation=entry.generation) as file:
            yield file

    def _parts(self, folder: str) -> Iterator[tuple[Record, Part]]:
        return ((record, part) for record in self.records(folder) for part in record.parts)

    def _rows(self, folder: str, record: Record, part: Part, read: _Read[_T]) -> _Placed[_T]:
        if part.results is None:
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self.opened(folder, part.results))
            except FileGone:  # finish() wrote it anew
                yield from self._moved(folder, record, part, read)
                return
            address = self._shelf.address(folder, part.results.name)
            yield from _placed(read(file, part.results.name), part, address)

    def _moved(self, folder: str, record: Record, part: Part, read: _Read[_T]) -> _Placed[_T]:
        data = self._shelf.seen(folder, record.name).data
        now = [p for p in (Record.from_bytes(data).parts if data else ()) if _overlap(p, part)]
        if part in now or not now:
            raise FileGone(f"{self._shelf.address(folder)}: a file that a record names is not there any more")
        wanted = {piece.start for piece in part.pieces}
        for newer in now:
            found = self._rows(folder, record, newer, read)
            yield from (placed for placed in found if placed[0].start in wanted)


def place_of(record: Record, piece: Piece) -> str:
    """Return a name for a piece that stays when its file is written anew."""
    return f"{record.name}@{piece.start}"


def _overlap(one: Part, other: Part) -> bool:
    return one.start < other.end and other.start < one.end


def _placed(rows: Iterator[_T], part: Part, address: str) -> _Placed[_T]:
    """Cut a file's rows into its pieces; the file must hold as many as its record says, and no more."""
    with _readable(address):
        for piece in part.pieces:
            for at in range(piece.rows):
                row = next(rows, None)
                if row is None:
                    raise StoreRefused(f"{address} is cut off: it holds fewer rows than were written to it")
                yield piece, at, row
        if next(rows, None) is not None:
            raise StoreRefused(f"{address} was changed: it holds more rows than were written to it")


@contextmanager
def _readable(address: str) -> Generator[None]:
    # What Arrow and the readers of JSON raise for broken bytes, a column that is not there, or one of another
    # kind; Zstandard's errors are ours by then (jsonl_lines). Anything else is a fault of the program.
    try:
        yield
    except (ValueError, TypeError, LookupError, NotImplementedError, OSError) as error:
        raise StoreRefused(
            f"{address} cannot be read ({type(error).__name__}): it is damaged, or columns= in the store's "
            "URL names key otherwise than when it was written"
        ) from error


def _candidate(verdict: Verdict, piece: Piece, at: int, *, place: str) -> Candidate:
    outcome, attempt = _judged(piece.judged)[at] if piece.judged else (verdict.outcome, verdict.attempt)
    return Candidate(verdict.key, outcome, attempt, at >= piece.contested_rows, place)


def _with_judgement(result: Result, piece: Piece, at: int) -> Result:
    if not piece.judged:
        return result
    outcome, attempt = _judged(piece.judged)[at]
    return replace(result, outcome=Outcome(outcome), attempt=attempt)


@lru_cache(maxsize=4)
def _judged(text: str) -> list[Judgement]:
    return unpack(text)
