"""The part of the store contract about several writers, killed writers and memory."""

# ruff: noqa: S101, PLR2004  (these are tests)

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar

from vertexq.errors import PositionMoved, StaleFence
from vertexq.results import Result
from vertexq.stores import Store
from vertexq.stores.columns import result_of
from vertexq.testing.store_fixtures import StoreFixtures
from vertexq.testing.store_rows import (
    STEP_BYTES,
    SUBMISSION,
    chunk,
    chunks_of,
    full_row,
    row,
    source_range,
)
from vertexq.testing.store_writer import CHUNKS, DEADLY_ROWS, ROWS, SAME_CHUNKS

KILLS = 8
NEWEST = ("reason", "parsed", "function_calls", "embedding", "embedding_norm", "extra")
"""The columns that came last."""
READ_GROWTH_BYTES = 12 * 2**20


class StoreCrashes(StoreFixtures):
    """Tests that need more than one writer. Part of ``StoreContract``; do not subclass it alone."""

    finds_repeats_itself: ClassVar[bool]

    def test_preparing_from_many_threads_is_safe(self, store_url: str, storage_endpoint: str) -> None:
        """Workers that start together on an empty target all come up."""

        def start(number: int) -> bool:
            with self.opened(store_url, storage_endpoint) as store:
                return not store.write(chunk(row(f"k{number}"), source=source_range(f"b{number}")), fence=1)

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(start, range(6)))
        with self.opened(store_url, storage_endpoint) as store:
            assert len(list(store.results(SUBMISSION))) == 6

    def test_two_ranges_are_written_at_the_same_time(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """Two instances on two threads: no row is lost, none is there twice."""

        def fill(batch_id: str) -> None:
            with self.opened(store_url, storage_endpoint) as mine:
                for made in chunks_of(source_range(batch_id), chunks=8, rows=20):
                    mine.write(made, fence=1)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, ["one", "two"]))

        assert Counter(result.key for result in store.results(SUBMISSION)) == {
            **_expected("one", chunks=8, rows=20),
            **_expected("two", chunks=8, rows=20),
        }

    def test_two_writers_of_one_range_do_not_mix(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """A zombie with an older token and its successor race: the range is written exactly once."""

        def fill(fence: int) -> None:
            with self.opened(store_url, storage_endpoint) as mine, suppress(StaleFence):
                _fill(mine, fence=fence)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, [1, 2]))

        assert Counter(result.key for result in store.results(SUBMISSION)) == _expected(
            "raced", chunks=6, rows=5
        )
        assert len(list(store.quarantine(SUBMISSION))) == 6
        assert store.progress(source_range("raced")).position == 6 * STEP_BYTES

    def test_a_key_of_two_ranges_written_at_the_same_time_is_there_once(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """Incremental and final files repeat rows, and may be read by two workers at once."""
        keys = [f"k{number}" for number in range(30)]

        def fill(batch_id: str) -> None:
            with self.opened(store_url, storage_endpoint) as mine:
                ordered = keys if batch_id == "one" else keys[::-1]
                told = () if self.finds_repeats_itself else keys
                mine.write(chunk(*map(row, ordered), source=source_range(batch_id), replacing=told), fence=1)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, ["one", "two"]))

        assert sorted(result.key for result in store.results(SUBMISSION)) == sorted(keys)

    def test_a_writer_killed_at_any_moment_loses_and_doubles_nothing(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """``kill -9`` again and again at random moments; each successor goes on from the store's progress."""
        moments = random.Random(7)
        child = self._child(store_url, storage_endpoint, "write")
        longest_s = 0.4
        for _ in range(KILLS):
            _kill_after(child, moments.uniform(0, longest_s))
            seen = list(store.results(SUBMISSION))
            assert len(seen) == len({result.key for result in seen})
            child = self._child(store_url, storage_endpoint, "write")
        with child:
            assert child.wait() == 0

        assert Counter(result.key for result in store.results(SUBMISSION)) == _expected(
            "killed", chunks=CHUNKS, rows=ROWS
        )
        assert len(list(store.quarantine(SUBMISSION))) == CHUNKS
        assert store.progress(source_range("killed")).state == str(CHUNKS - 1).encode()

    def test_a_writer_that_dies_in_a_chunk_leaves_all_of_it_or_nothing(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """Killed at a later row each time, until one has committed the chunk; that one dies right after."""
        for looks in range(DEADLY_ROWS // 2, 100 * DEADLY_ROWS, DEADLY_ROWS):
            with self._child(store_url, storage_endpoint, "die", str(looks)) as child:
                assert child.wait() < 0
            if store.progress(source_range()).position == STEP_BYTES:
                break
            assert list(store.results(SUBMISSION)) == []
            assert list(store.quarantine(SUBMISSION)) == []

        assert store.progress(source_range()).position == STEP_BYTES
        found = Counter(result.key for result in store.results(SUBMISSION))
        assert found == {f"k{number}": 1 for number in range(DEADLY_ROWS)}
        assert len(list(store.quarantine(SUBMISSION))) == 1

    def test_two_processes_with_the_same_keys_leave_the_better_rows(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """Each of them has an answer where the other one failed; nobody waits for ever."""
        children = [self._child(store_url, storage_endpoint, "same", name) for name in ("odd", "even")]
        for child in children:
            with child:
                assert child.wait() == 0

        wanted = {f"k{number}-{index}": 1 for number in range(SAME_CHUNKS) for index in range(ROWS)}
        for _ in range(2):
            found = list(store.results(SUBMISSION))
            assert Counter(result.key for result in found) == wanted
            assert all(result.ok for result in found)
            store.finish(SUBMISSION, repeats=True)

    def narrow(self, store_url: str) -> None:
        """Take the columns ``NEWEST`` out of what is there, as if an older vertexq had made it.

        For stores whose tables have a schema of their own.
        """

    def test_what_an_older_version_made_is_gone_on_with(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """A column that it did not have is null in its rows, and kept from now on."""
        nulls: dict[str, Any] = dict.fromkeys(NEWEST)
        old = full_row("old")._replace(**nulls)
        store.write(chunk(old), fence=1)
        store.close()
        self.narrow(store_url)

        with self.opened(store_url, storage_endpoint) as newer:
            newer.write(chunk(full_row("new"), start=STEP_BYTES), fence=1)
            found = {result.key: result for result in newer.results(SUBMISSION)}
            newer.finish(SUBMISSION)
            assert {result.key: result for result in newer.results(SUBMISSION)} == found

        assert found == {"old": result_of(old), "new": result_of(full_row("new"))}

    def test_finishing_twice_changes_nothing(self, store: Store) -> None:
        """``finish`` is safe to repeat; what is read afterwards is the same, row by row and byte by byte."""
        for made in chunks_of(source_range(), chunks=3, rows=4):
            store.write(made, fence=1)
        store.finish(SUBMISSION)
        first = (_in_order(store), self.published(store))

        store.finish(SUBMISSION)

        assert (_in_order(store), self.published(store)) == first

    def published(self, store: Store) -> object:  # noqa: ARG002
        """Return what a store of files has published, to be compared; None where there is no such thing."""
        return None

    def test_reading_results_takes_flat_memory(
        self, store: Store, store_url: str, storage_endpoint: str
    ) -> None:
        """32 MB of results are streamed by a process that grows by less than 12 MiB."""
        for made in chunks_of(source_range(), chunks=16, rows=500, text_bytes=4000):
            store.write(made, fence=1)

        with self._child(store_url, storage_endpoint, "read") as child:
            assert child.stdout is not None
            rows, growth_bytes = map(int, child.stdout.readline().split())

        assert rows == 16 * 500
        assert growth_bytes < READ_GROWTH_BYTES

    def _child(self, url: str, storage_endpoint: str, *job: str) -> subprocess.Popen[bytes]:
        """Start a child and wait until it has opened the store."""
        options = [url, storage_endpoint, self.ledger_url, *job]
        command = [sys.executable, "-m", "vertexq.testing.store_writer", *options]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n", "the child could not open the store"
        return child


def _in_order(store: Store) -> list[Result]:
    """Return all results by their keys: a store promises no order."""
    return sorted(store.results(SUBMISSION), key=lambda result: result.key)


def _expected(batch_id: str, *, chunks: int, rows: int) -> dict[str, int]:
    return {f"{batch_id}-{number}-{index}": 1 for number in range(chunks) for index in range(rows)}


def _fill(store: Store, *, fence: int) -> None:
    source = source_range("raced")
    made = list(chunks_of(source, chunks=6, rows=5))
    while (at := store.progress(source).position) < len(made) * STEP_BYTES:
        with suppress(PositionMoved):
            store.write(made[at // STEP_BYTES], fence=fence)


def _kill_after(child: subprocess.Popen[bytes], moment_s: float) -> None:
    with child:
        with suppress(subprocess.TimeoutExpired):
            child.wait(moment_s)
        child.kill()
