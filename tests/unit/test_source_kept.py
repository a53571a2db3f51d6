"""Rows kept between two readings: all of them, or none."""

from __future__ import annotations

from contextlib import closing

import pytest

from vertexq.check.verdict import Prepared
from vertexq.sources.kept import KeptRows

ROWS = [
    Prepared(f"k{n}", b"\0\xff" * 4, b'{"contents":[]}', n, n % 2, 7, 0, "" if n % 3 else "bad\udc00"[:3])
    for n in range(9)
]


@pytest.mark.parametrize("at_once", [1, 4, 9])
def test_rows_come_back_as_they_were(at_once: int) -> None:
    """With every field, in their order, as often as they are asked for."""
    with closing(KeptRows(limit_bytes=10_000)) as kept:
        for at in range(0, len(ROWS), at_once):
            kept.add(ROWS[at : at + at_once])

        assert kept.is_whole
        assert [[row for rows in kept for row in rows] for _ in range(2)] == [ROWS, ROWS]


def test_rows_that_find_no_room_are_all_forgotten() -> None:
    """A part of them would be worse than none."""
    with closing(KeptRows(limit_bytes=300)) as kept:
        for row in ROWS:
            kept.add([row])

        assert not kept.is_whole
