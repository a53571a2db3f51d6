"""What a whole source shows, once it has been read to its end: which rows go where. No I/O."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vertexq.check.faults import Rule
from vertexq.check.report import Report
from vertexq.model import Estimate
from vertexq.uniqueness import KeyLog, Repetition

NAMELESS = "\0"
"""Begins what stands for the key of a row that has none (its number) until all keys are known."""
_BAD = -1


class Prepared(NamedTuple):
    """A row ready to be staged: the producer's key, the request's fingerprint and JSON, where it came from.

    ``line`` counts from 1. Rows of one ``group`` have one shape; groups never share a batch. The tokens are
    an estimate, ``output_tokens`` the most the row may answer or 0 when it sets no limit. A row with a
    ``reason`` is set aside: its request is empty, and it ends as failed with this reason.
    """

    key: str
    fingerprint: bytes
    request: bytes
    line: int
    group: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found, what the rows that can run will take, and which rows only the whole file condemns.

    ``only_group`` is the one group that runs, None when every one does; ``duplicates`` are the lines of rows
    whose key was there before, in order. There are ``nameless`` rows when some have no key that can be
    used. Keys that are made up for them hold ``mark``, so that no row of the source has the same.
    """

    report: Report
    estimate: Estimate
    only_group: int | None = None
    conflicts: tuple[str, ...] = ()
    duplicates: array[int] = field(default_factory=lambda: array("Q"))
    nameless: bool = False
    mark: str = "~"

    def sift(self, rows: Iterable[Prepared]) -> Iterator[Prepared]:
        """Yield the rows, with those set aside that only the whole source condemns."""
        return map(self._sifted, rows) if self.sifts else iter(rows)

    @property
    def sifts(self) -> bool:
        """Tell whether ``sift`` changes any row."""
        return self.only_group is not None or bool(self.duplicates) or self.nameless

    def condemns(self, line: int, group: int) -> bool:
        """Tell whether a row that is good by itself cannot run."""
        return self._is_duplicate(line) or self.only_group not in (None, group)

    def _sifted(self, row: Prepared) -> Prepared:
        if row.key.startswith(NAMELESS):
            return row._replace(key=f"{row.key[1:]}{self.mark}{row.line}")
        if self._is_duplicate(row.line):
            reason = row.reason or f"{Rule.DUPLICATE_KEY}: an earlier row has the same key"
            return aside(f"{row.key}{self.mark}{row.line}", row.line, reason)
        if row.reason or self.only_group is None or row.group == self.only_group:
            return row
        return aside(row.key, row.line, self.conflicts[row.group])

    def _is_duplicate(self, line: int) -> bool:
        at = bisect_left(self.duplicates, line)
        return at < len(self.duplicates) and self.duplicates[at] == line


def note_keys(rows: Iterable[Prepared], keys: KeyLog) -> None:
    """Note the keys of rows, and what becomes different when a row turns out to be a repetition."""
    add = keys.add
    for key, _, _, line, group, given, answered, reason in rows:
        add(key, line, _BAD if reason else group, given, answered)


def is_bad(one: Repetition) -> bool:
    """Tell whether a row was bad already, before its key was known to be there twice."""
    return one.group == _BAD


def aside(key: str, line: int, reason: str) -> Prepared:
    """Return a row that is set aside."""
    return Prepared(key, b"", b"", line, reason=reason)
