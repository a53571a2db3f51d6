"""What a Parquet store's files are like: packed once, of a good size, in row groups that fit into memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as untyped_pq  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import pytest

from vertexq.results import Chunk, Outcome, Progress, Row
from vertexq.steps.storebook import StoreBook
from vertexq.stores import Store, open_store
from vertexq.stores.columns import instant
from vertexq.stores.parquet_file import CHUNK_BYTES, CHUNK_ROWS, GROUP_BYTES
from vertexq.testing.store_rows import SUBMISSION, chunk, full_row, row, source_range

pq: Any = untyped_pq
MIB = 2**20
ODD_TIMES = [
    "2025-09-19T21:29:47.352+00:00", "2025-09-19T21:29:47+05:30", "2025-02-31T21:29:47Z", None, "yesterday",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2025-09-19T21:29:47.123456789Z",
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Open a prepared store."""
    store = open_store(f"parquet:///{tmp_path}/out")
    store.prepare()
    return store


def _large(*rows: Row, number: int = 0, size_bytes: int = CHUNK_BYTES, **values: Any) -> Chunk:
    """Return the chunk of this number in a range, of as much of Google's output as a worker takes."""
    made = chunk(*rows, start=number * size_bytes, **values)
    return replace(made, progress=Progress(position=(number + 1) * size_bytes))


def _files(store: Store) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in Path(store.location(SUBMISSION)).glob("part-*")}


def _read(store: Store) -> list[Any]:
    return [pq.ParquetFile(path) for path in sorted(Path(store.location(SUBMISSION)).glob("part-*"))]


async def test_a_worker_fills_large_chunks_for_it(tmp_path: Path) -> None:
    """As soon as the store is in use."""
    book = StoreBook({"lake": f"parquet:///{tmp_path}/out"})
    await book.call("lake", lambda store: store.location(SUBMISSION))

    assert book.chunk_limits(["lake"], rows=5_000, size_bytes=8 * MIB) == (CHUNK_ROWS, CHUNK_BYTES)
    await book.close()


def test_a_full_chunk_is_written_once(store: Store) -> None:
    """``finish`` leaves its file as it is, packed with Zstandard."""
    for number in range(3):
        store.write(_large(full_row(f"k{number}"), number=number), fence=1)
    landed = _files(store)
    store.finish(SUBMISSION)

    assert _files(store) == landed
    assert len(landed) == 3
    (column,) = {
        file.metadata.row_group(0).column(at).compression for file in _read(store) for at in range(3)
    }
    assert column == "ZSTD"


def test_files_of_small_chunks_are_joined(store: Store) -> None:
    """Those that are small on average, as of output that was read while it grew."""
    for number in range(20):
        store.write(_large(row(f"k{number}"), number=number, size_bytes=MIB), fence=1)
    store.finish(SUBMISSION)

    (file,) = _read(store)
    assert file.metadata.num_rows == 20


def test_files_without_long_columns_are_always_joined(tmp_path: Path) -> None:
    """However much of Google's output they are of, they are small."""
    with open_store(f"parquet:///{tmp_path}/out?columns=key,outcome,attempt") as store:
        for number in range(4):
            store.write(_large(row(f"k{number}"), number=number), fence=1)
        store.finish(SUBMISSION)
        assert len(_files(store)) == 1


def test_a_full_chunk_that_loses_rows_stays_a_file(store: Store) -> None:
    """Finishing again comes to the same files, although there is little left in one."""
    keys = [f"k{number}" for number in range(50)]
    store.write(_large(*(row(key, outcome="failed") for key in keys), row("kept")), fence=1)
    store.write(_large(row("other"), number=1), fence=1)
    better = _large(*(row(key, attempt=2) for key in keys), source=source_range("two"), replacing=keys)
    store.write(better, fence=1)
    store.finish(SUBMISSION)
    once = _files(store)
    store.finish(SUBMISSION)

    assert _files(store) == once
    assert sorted(file.metadata.num_rows for file in _read(store)) == [1, 1, 50]
    assert {result.outcome for result in store.results(SUBMISSION)} == {Outcome.SUCCEEDED}


def test_a_reader_holds_one_row_group_at_a_time(store: Store) -> None:
    """A chunk is several of them when it is large, and holds rows with and without a response."""
    response = b'{"n": "%s"}' % (b"x" * 6_000)
    rows = [row(f"k{at}", response=None if at % 7 == 0 else response, text=f"{at}") for at in range(9_000)]
    store.write(_large(*rows), fence=1)

    (file,) = _read(store)
    sizes = [file.metadata.row_group(at).total_byte_size for at in range(file.num_row_groups)]
    assert file.metadata.num_rows == 9_000
    assert len(sizes) >= 3
    assert max(sizes) < 2 * GROUP_BYTES
    found = {result.key: result.response for result in store.results(SUBMISSION)}
    assert (found["k7"], found["k8"]) == (None, {"n": "x" * 6_000})


def test_odd_times_are_read_as_everywhere(store: Store) -> None:
    """What is no moment of the calendar is null, and spoils none beside it."""
    store.write(_large(*(row(f"k{at}", processed_at=text) for at, text in enumerate(ODD_TIMES))), fence=1)

    found = {result.key: result.processed_at for result in store.results(SUBMISSION)}
    assert found == {f"k{at}": instant(text) for at, text in enumerate(ODD_TIMES)}


def test_a_response_that_is_not_unicode_is_set_aside(store: Store) -> None:
    """The rows around it go in as they are."""
    rows = [row("a", response=b'{"n": 1}'), row("b", response=b'"\xff"'), row("c"), row("d", response=b"[]")]

    assert store.write(_large(*rows), fence=1) == {"b"}
    found = {result.key: result.outcome.value for result in store.results(SUBMISSION)}
    assert found == {"a": "succeeded", "b": "quarantined", "c": "succeeded", "d": "succeeded"}
