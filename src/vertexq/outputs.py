"""Which objects of a job are to be read, in which pieces, and how long more is waited for. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vertexq.model import JobStats

_INCREMENTAL = "incremental_predictions"
_ERRORS = re.compile(r"(?:.*/)?errors_\d+\.jsonl")
_FIRST_LOOK_S = 1.0


def final_objects(names: Sequence[str]) -> list[str]:
    """Choose from names relative to the output directory; the order is the order of reading.

    A final ``predictions.jsonl`` holds every row. Jobs also export copies of finished rows while they run,
    below ``incremental_predictions``; those count only when no final file was written, and repeated rows are
    then told apart by their keys. The layout is not documented, so any ``.jsonl`` object about predictions
    is taken. AutoML puts images that failed into ``errors_00001.jsonl`` and so on: they are read as well.
    """
    errors = [name for name in names if _ERRORS.fullmatch(name)]
    lines = [
        name for name in names if name.endswith(".jsonl") and "prediction" in name and name not in errors
    ]
    final = [name for name in lines if _INCREMENTAL not in name]
    return sorted([*(final or lines), *errors])


def early_objects(names: Sequence[str]) -> list[str]:
    """Choose what a job has exported while it runs, from names relative to a folder it writes in."""
    return [name for name in final_objects(names) if _INCREMENTAL in name]


def is_early(name: str) -> bool:
    """Tell whether an object's name is one of an export while a job runs."""
    return _INCREMENTAL in name


def cuts(size_bytes: int, range_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges, as (start, end), that an object is read in: 150 bytes by 64 are (0, 64), (64, 150).

    The last one takes up to half a range more, so that none is small.
    """
    start = 0
    while size_bytes - start > range_bytes * 3 // 2:
        yield start, start + range_bytes
        start += range_bytes
    if start < size_bytes:
        yield start, size_bytes


def lacking_rows(stats: JobStats, shown_rows: int) -> int:
    """Return how many answers a job has counted that its output does not hold; 0 when it says nothing."""
    counted = (stats.successful or 0) + (stats.failed or 0)
    return max(counted - shown_rows, 0)


def late_wait_s(waited_s: float, *, longest_s: float) -> float:
    """Return when to look for more output again: after 1 s, then waiting twice as long each time; 0 is never.

    >>> [late_wait_s(waited, longest_s=10.0) for waited in (0.0, 1.0, 2.0, 4.0, 8.0, 10.0)]
    [1.0, 1.0, 2.0, 4.0, 2.0, 0.0]
    """
    return max(min(max(waited_s, _FIRST_LOOK_S), longest_s - waited_s), 0.0)
