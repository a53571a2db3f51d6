"""The line splitter: the same bytes give the same lines, wherever the network cuts them."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq.lines import HEAD_BYTES, Block, LineSplitter, Oversized

Line = tuple[int, int, bytes, bool]
"""Offset, size in bytes, what is kept of it, and whether it is over the limit."""


def split(data: bytes, *, cut_bytes: int, limit_bytes: int = 10_000, offset: int = 0) -> list[Line]:
    """Return every line of ``data`` as it comes out when it is fed ``cut_bytes`` at a time."""
    splitter = LineSplitter(offset=offset, limit_bytes=limit_bytes)
    items: list[Block | Oversized] = []
    for start in range(0, len(data), cut_bytes):
        items += splitter.feed(data[start : start + cut_bytes])
    return [line for item in (*items, *splitter.close()) for line in unrolled(item)]


def unrolled(item: Block | Oversized) -> list[Line]:
    """Return the lines of a block, or the one line that is over the limit."""
    if isinstance(item, Oversized):
        return [(item.offset, item.size_bytes, item.head, True)]
    found: list[Line] = []
    offset = item.offset
    for line in item.lines:
        found.append((offset, len(line), line, False))
        offset += len(line) + 1
    return found


def expected(data: bytes, *, limit_bytes: int = 10_000) -> list[Line]:
    """Return what must come out, found in the simplest way."""
    lines = data.split(b"\n")
    found: list[Line] = []
    offset = 0
    for line in lines if lines[-1] else lines[:-1]:
        too_long = len(line) > limit_bytes
        found.append((offset, len(line), line[:HEAD_BYTES] if too_long else line, too_long))
        offset += len(line) + 1
    return found


SAMPLE = '{"a":1}\n{"text":"one\u2028line \u0085 and \u2029"}\r\n\n{"b":"x\\ny"}\n{"last":true}'.encode()


@pytest.mark.parametrize("cut_bytes", [1, 2, 3, 5, 100])
def test_the_same_bytes_give_the_same_lines_at_every_cut(cut_bytes: int) -> None:
    """Lines, sizes and offsets do not depend on how the bytes arrive."""
    assert split(SAMPLE, cut_bytes=cut_bytes) == expected(SAMPLE)


def test_only_a_newline_ends_a_line() -> None:
    r"""U+2028, U+0085, a lone \r and an escaped \n belong to their line; \r\n leaves its \r behind."""
    lines = [line for _, _, line, _ in split(SAMPLE, cut_bytes=100)]

    assert lines[1].decode() == '{"text":"one\u2028line \u0085 and \u2029"}\r'
    assert lines[3] == b'{"b":"x\\ny"}'


def test_a_blank_line_is_kept_so_that_offsets_add_up() -> None:
    """Each line's offset plus its length plus its newline is the next one's offset."""
    lines = split(b"a\n\n\nbb\n", cut_bytes=100)

    assert [line for _, _, line, _ in lines] == [b"a", b"", b"", b"bb"]
    assert all(offset + size + 1 == after for (offset, size, *_), (after, *_) in pairwise(lines))


def test_a_last_line_without_a_newline_is_returned_at_the_end() -> None:
    """It is not complete until the input is; an input that ends with a newline has nothing left."""
    splitter = LineSplitter()

    assert splitter.feed(b'{"a":1}\n{"b":') == [Block(0, [b'{"a":1}'])]
    assert splitter.feed(b"2}") == []
    assert splitter.close() == [Block(8, [b'{"b":2}'])]
    assert splitter.close() == []


def test_the_position_is_where_the_first_unreturned_line_starts() -> None:
    """A reader that stops there and starts again misses nothing and repeats nothing."""
    splitter = LineSplitter(offset=100)

    splitter.feed(b"one\ntwo\nthr")

    assert splitter.position == 108
    assert LineSplitter(offset=splitter.position).feed(b"three\n") == [Block(108, [b"three"])]


@pytest.mark.parametrize("cut_bytes", [1, 2, 3, 5, 100, 10_000])
def test_a_line_over_the_limit_is_passed_over_and_the_next_one_is_read(cut_bytes: int) -> None:
    """Its offset, its whole size and its first bytes are known; its neighbours come out unharmed."""
    data = b"before\n" + b"m" * 5_000 + b"\nafter\n"

    lines = split(data, cut_bytes=cut_bytes, limit_bytes=2_000)

    assert lines == [
        (0, 6, b"before", False),
        (7, 5_000, b"m" * HEAD_BYTES, True),
        (5_008, 5, b"after", False),
    ]


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    """The limit is the longest line that is read."""
    assert split(b"x" * 50 + b"\n", cut_bytes=7, limit_bytes=50) == [(0, 50, b"x" * 50, False)]
    assert split(b"x" * 51 + b"\n", cut_bytes=7, limit_bytes=50) == [(0, 51, b"x" * 51, True)]


def test_an_endless_line_is_not_held_in_memory() -> None:
    """A hundred megabytes without a newline never take more than the limit and a chunk."""
    splitter = LineSplitter(limit_bytes=1024 * 1024)
    chunk = b"x" * 1024 * 1024

    tracemalloc.start()
    for _ in range(100):
        splitter.feed(chunk)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 4 * 1024 * 1024
    assert splitter.close() == [Oversized(0, 100 * len(chunk), b"x" * HEAD_BYTES)]


@given(
    pieces=st.lists(
        st.sampled_from([b"\n", b"\r", b"ab", b"\xe2\x80\xa8", b"x" * 9, b"y" * 1500]), max_size=30
    ),
    cut_bytes=st.integers(1, 40),
    limit_bytes=st.integers(1, 2_000),
)
def test_any_bytes_cut_anyhow_give_the_lines_they_hold(
    pieces: list[bytes], cut_bytes: int, limit_bytes: int
) -> None:
    """Found by the plainest splitting there is, with limits from one byte to two thousand."""
    data = b"".join(pieces)

    found = split(data, cut_bytes=cut_bytes, limit_bytes=limit_bytes)

    assert found == expected(data, limit_bytes=limit_bytes)
