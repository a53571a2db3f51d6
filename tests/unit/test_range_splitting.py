"""Byte ranges of an object: every line is in exactly one, wherever the cuts fall."""

from __future__ import annotations

import pytest

from vertexq import outputs
from vertexq.google.checksum import combine, extend
from vertexq.lines import Block, Oversized, RangeSplitter
from vertexq.model import JobStats

DATA = b"first\n\nthird is longer\nx\n" + b"y" * 40 + b"\nlast without an end"


def read(start: int, end: int, *, size: int) -> list[tuple[int, bytes]]:
    """Read a range as a load does, ``size`` bytes at a time."""
    midway = start > 0
    lines = RangeSplitter(start=start, midway=midway, limit_bytes=1_000)
    items: list[Block | Oversized] = []
    at = start - midway
    while at < end:
        items += lines.feed(DATA[at : min(at + size, end)])
        at = min(at + size, end)
    if lines.is_within and at < len(DATA):
        ends = DATA.find(b"\n", at) + 1 or len(DATA)
        items += lines.feed(DATA[at:ends])
    items += lines.close() if not lines.is_within or DATA.find(b"\n", at) < 0 else []
    found: list[tuple[int, bytes]] = []
    for item in items:
        assert isinstance(item, Block)
        offset = item.offset
        for line in item.lines:
            found.append((offset, bytes(line)))
            offset += len(line) + 1
    return found


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("step", [*range(1, 30), 200])
def test_every_line_is_in_one_range(step: int, size: int) -> None:
    """Cut at every step, read in pieces of every size: the same lines at the same offsets."""
    wanted = read(0, len(DATA), size=1_000)
    cuts = range(0, len(DATA), step)
    found = [line for at in cuts for line in read(at, min(at + step, len(DATA)), size=size)]

    assert found == wanted


def test_checksums_of_pieces_make_up_that_of_the_whole() -> None:
    """Also of empty pieces, and of pieces of gigabytes that only their length is known of."""
    for cut in (0, 1, 5, len(DATA)):
        first, second = DATA[:cut], DATA[cut:]
        assert combine(extend(0, first), extend(0, second), len(second)) == extend(0, DATA)
    zeros = bytes(1_000_000)
    assert combine(extend(0, DATA), extend(0, zeros), len(zeros)) == extend(extend(0, DATA), zeros)


def test_objects_are_cut_into_ranges_none_of_which_is_small() -> None:
    """The last one takes what would be less than half a range."""
    assert list(outputs.cuts(150, 64)) == [(0, 64), (64, 150)]
    assert list(outputs.cuts(64, 64)) == [(0, 64)]
    assert list(outputs.cuts(96, 64)) == [(0, 96)]
    assert list(outputs.cuts(0, 64)) == []


def test_exports_are_told_from_final_files() -> None:
    """Final files may have any number and name; exports lie in a folder of their own."""
    early = [f"incremental_predictions/predictions_{n:05}.jsonl" for n in range(2)]

    assert outputs.early_objects([*early, "notes.txt"]) == early
    assert outputs.early_objects([*early, "predictions.jsonl"]) == []
    assert outputs.is_early(early[0])


def test_what_is_lacking_is_what_google_has_counted_and_not_shown() -> None:
    """No statement is no difference."""
    assert outputs.lacking_rows(JobStats(successful=3, failed=2), 4) == 1
    assert outputs.lacking_rows(JobStats(), 0) == 0
    assert outputs.lacking_rows(JobStats(successful=1), 4) == 0


def test_late_output_is_waited_for_longer_each_time() -> None:
    """One second, then twice as long, and not beyond the longest."""
    waits = [outputs.late_wait_s(waited, longest_s=10.0) for waited in (0.0, 1.0, 2.0, 4.0, 8.0, 10.0)]

    assert waits == [1.0, 1.0, 2.0, 4.0, 2.0, 0.0]
