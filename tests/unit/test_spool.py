"""The spool: prepared rows come out of the ledger as they went in."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from vertexq import spool
from vertexq.intake import Prepared

TEXT = st.text(max_size=30)
REQUESTS = st.dictionaries(TEXT, TEXT | st.integers(0, 9) | st.none(), max_size=3).map(orjson.dumps)
ROWS = st.builds(
    Prepared,
    key=TEXT.filter(bool),
    fingerprint=st.binary(min_size=8, max_size=8),
    request=REQUESTS,
    line=st.integers(1, 10**9),
    group=st.integers(0, 49),
    input_tokens=st.integers(0, 10**9),
    output_tokens=st.integers(0, 10**9),
    reason=st.just("") | TEXT,
)


def unpacked(chunks: list[bytes]) -> list[Prepared]:
    """Return the rows of all chunks."""
    return [row for chunk in chunks for row in spool.unpack(chunk)]


@given(rows=st.lists(ROWS, max_size=20))
def test_rows_come_back_in_their_order(rows: list[Prepared]) -> None:
    """Also when keys and requests hold tabs, newlines, quotes and U+2028."""
    assert unpacked(list(spool.pack(rows))) == rows


def test_a_separator_inside_a_text_is_no_separator() -> None:
    """JSON escapes tabs and newlines, so the first tabs of a line are the spool's own."""
    row = Prepared("a\tb\nc", b"12345678", orjson.dumps({"prompt": "x\ty\nz\u2028"}), 3)

    assert unpacked(list(spool.pack([row]))) == [row]


def test_many_rows_make_several_chunks_of_bounded_size() -> None:
    """A chunk is what a worker holds in memory at a time."""
    request = orjson.dumps({"prompt": "x" * 10_000})
    rows = [Prepared(str(number), b"12345678", request, number) for number in range(1, 301)]

    chunks = list(spool.pack(rows))

    sizes = [sum(len(row.request) for row in spool.unpack(chunk)) for chunk in chunks]
    assert len(chunks) == 3
    assert max(sizes) <= spool.CHUNK_BYTES + len(request)
    assert unpacked(chunks) == rows


def test_a_chunk_is_made_only_when_it_is_asked_for() -> None:
    """Packing is lazy: the rows behind the first chunk have not been read yet."""
    request = orjson.dumps({"prompt": "x" * 10_000})
    source = iter([Prepared(str(number), b"12345678", request, number) for number in range(300)])

    next(spool.pack(source))

    assert len(list(source)) > 150


def test_no_rows_make_no_chunk() -> None:
    """An empty spool is nothing at all."""
    assert list(spool.pack([])) == []
