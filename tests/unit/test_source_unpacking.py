"""Archives: any cut, any number of members, truncated ones, and bombs."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vertexq.errors import BadSource
from vertexq.sources.unpack import Unpacker

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, 1),
    "zst": zstandard.ZstdCompressor().compress,
    "none": lambda data: data,
}


def _unpacked(stored: bytes, cut: int, name: str = "a") -> bytes:
    unpacker = Unpacker(name)
    pieces = [stored[at : at + cut] for at in range(0, len(stored), cut)]
    return b"".join([*(out for piece in pieces for out in unpacker.feed(piece)), *unpacker.close()])


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.integers(1, 400),
    st.sampled_from(["gz", "zst"]),
)
def test_members_are_joined_however_the_bytes_are_cut(members: list[bytes], cut: int, kind: str) -> None:
    """The same bytes come out for every size of the pieces that go in."""
    stored = b"".join(PACKERS[kind](member) for member in members)

    assert _unpacked(stored, cut) == b"".join(members)


@pytest.mark.parametrize("data", [b"", b"{", b"{}\n", b"{}\n" * 1000])
def test_plain_bytes_pass_as_they_are(data: bytes) -> None:
    """Also those that are shorter than any archive's head."""
    assert _unpacked(data, 1) == data


@pytest.mark.parametrize("kind", ["gz", "zst"])
@given(share=st.floats(0.05, 0.99))
def test_a_truncated_archive_is_an_error(kind: str, share: float) -> None:
    """What was cut off is never taken for the end."""
    stored = PACKERS[kind](bytes(range(256)) * 50)

    with pytest.raises(BadSource, match="in the middle of its archive"):
        _unpacked(stored[: max(int(len(stored) * share), 4)], 100)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_damaged_archive_is_an_error(kind: str) -> None:
    """The sentence says which one and what to do."""
    stored = PACKERS[kind](bytes(range(256)) * 50)
    damaged = stored[:8] + b"\xff" * 20 + stored[28:]

    with pytest.raises(BadSource, match=r"rows\.x cannot be unpacked"):
        _unpacked(damaged, 1000, "rows.x")


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.jsonl.zst"])
def test_a_name_that_promises_an_archive_is_taken_at_its_word(name: str) -> None:
    """Plain lines under such a name are somebody's mistake."""
    with pytest.raises(BadSource, match="is no such archive"):
        _unpacked(b'{"prompt": "x"}\n', 1000, name)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_bomb_stays_flat(kind: str) -> None:
    """A quarter of a gigabyte from a few kilobytes passes through a few megabytes of memory."""
    stored, total = PACKERS[kind](bytes(1 << 28)), 0
    tracemalloc.start()
    for piece in Unpacker("bomb").feed(stored):
        total += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert total == 1 << 28
    assert peak < 32 * 1024 * 1024


def test_padding_after_a_gzip_file_is_passed_over() -> None:
    """Tapes and some tools fill up with zeros."""
    assert _unpacked(gzip.compress(b"a") + bytes(512), 7) == b"a"
