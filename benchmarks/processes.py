"""A second worker process beside the first: the real step on 40 objects, into a store that only counts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

from benchmarks import lines
from benchmarks.load import BATCH, OUTPUT, enter_batch, services
from benchmarks.measure import Measured
from vertexq import steps
from vertexq.google.checksum import crc32c_text, extend
from vertexq.google.storage import Storage
from vertexq.ledger import Ledger
from vertexq.model import GcsUri, ObjectInfo
from vertexq.results import Chunk, Outcome, QuarantinedLine, Result, SourceRange
from vertexq.states import BatchState
from vertexq.steps.storebook import StoreBook
from vertexq.stores import Committed, Store, admit

T = TypeVar("T")
OBJECTS, ROWS_EACH = 40, 5_000
PIECE_BYTES = 256 * 1024
ROUNDS = 3


def run() -> Iterator[Measured]:
    """Measure rows a second of wall time; ``ratio`` is two processes to one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_objects(home / "objects")
        rates = [(_rate(home, f"two-{at}", 2), _rate(home, f"one-{at}", 1)) for at in range(ROUNDS)]
    for unit, at, aim in (
        ("rows/s", 0, ">= 1.8 on two cores that do nothing else (the best of three)"),
        ("rows/s of the busier process's CPU time", 1, ">= 1.8, also on a busy machine: no wait is in it"),
    ):
        best = max(rates, key=lambda pair: pair[0][at] / pair[1][at])
        yield Measured(
            name=f"second worker process, {OBJECTS} objects, a store that only counts",
            ours=best[0][at],
            peer=best[1][at],
            ratio=best[0][at] / best[1][at],
            unit=unit,
            aim=aim,
        )


def write_objects(folder: Path) -> None:
    """Write the output of one job in 40 objects."""
    folder.mkdir()
    blocks = lines.blocks(OBJECTS * ROWS_EACH)
    for number in range(OBJECTS):
        name = f"predictions-{number:05}-of-{OBJECTS:05}.jsonl"
        (folder / name).write_bytes(b"".join(islice(blocks, ROWS_EACH // 1_000)))


def _rate(home: Path, name: str, processes: int) -> tuple[float, float]:
    """Return rows a second of wall time, from the word to begin until all is ingested, and of CPU time."""
    place = home / name
    place.mkdir()
    with ExitStack() as stack:
        ledger = Ledger.open(f"sqlite:///{place}/ledger.db")
        stack.callback(ledger.close)
        enter_batch(ledger, OBJECTS * ROWS_EACH)
        command = [sys.executable, "-m", "benchmarks.processes", str(place), str(home / "objects")]
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(processes)
        ]
        for worker in workers:
            assert worker.stdout
            worker.stdout.readline()  # it is ready
        started = time.perf_counter()
        for worker in workers:
            assert worker.stdin
            worker.stdin.close()  # begin
        busy_s = [float(worker.stdout.readline()) for worker in workers if worker.stdout]
        took_s = time.perf_counter() - started
        assert [worker.wait() for worker in workers] == [0] * processes
        batch = ledger.batch(BATCH)
        assert (batch.state, batch.counts.succeeded) == (BatchState.INGESTED, OBJECTS * ROWS_EACH)
    return OBJECTS * ROWS_EACH / took_s, OBJECTS * ROWS_EACH / max(busy_s)


class CountingStore(Store):
    """Counts rows and keeps positions in memory: whoever begins a range ends it."""

    def __init__(self) -> None:
        super().__init__("counting://")
        self.rows = 0
        self._at: dict[str, Committed] = {}

    def prepare(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Return nothing: nothing is kept."""
        del submission_id, outcomes
        return iter(())

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Return nothing."""
        del submission_id
        return iter(())

    def _committed(self, source: SourceRange) -> Committed | None:
        return self._at.get(source.id)

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        admit(chunk, self._at.get(chunk.source.id), fence=fence)
        self._at[chunk.source.id] = Committed(chunk.progress, fence)
        self.rows += len(chunk.rows)


class CountingBook(StoreBook):
    """One store that only counts, under every name."""

    def __init__(self) -> None:
        super().__init__({})
        self._store = CountingStore()

    async def call(self, name: str, use: Callable[[Store], T]) -> T:
        """Use the store here and now."""
        del name
        return use(self._store)

    def chunk_limits(self, names: Iterable[str], *, rows: int, size_bytes: int) -> tuple[int, int]:
        """Wish for nothing."""
        del names
        return rows, size_bytes


class LocalObjects:
    """Files of a folder in the place of Cloud Storage."""

    def __init__(self, folder: Path) -> None:
        self._files = {str(OUTPUT.join(path.name)): path for path in sorted(folder.iterdir())}

    async def list(self, prefix: GcsUri) -> AsyncGenerator[ObjectInfo]:
        """Yield every object."""
        assert prefix.bucket == OUTPUT.bucket
        for uri, path in self._files.items():
            checksum = crc32c_text(extend(0, path.read_bytes()))
            size_bytes = path.stat().st_size
            yield ObjectInfo(uri=GcsUri.parse(uri), generation=1, size_bytes=size_bytes, crc32c=checksum)

    async def download(
        self, uri: GcsUri, *, generation: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes from ``start`` to ``end``."""
        assert generation == 1
        path = self._files[str(uri)]
        left = (path.stat().st_size if end is None else end) - start
        with path.open("rb") as file:
            file.seek(start)
            while left and (piece := file.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece


async def _work(home: Path, objects: Path) -> None:
    """Be a worker: take ranges of the one batch until there is none left."""
    async with services(home, "http://127.0.0.1:9", "sqlite:///unused.db") as opened:
        storage = cast("Storage", LocalObjects(objects))
        ready = replace(opened, storage=storage, stores=CountingBook(), owner=f"{time.monotonic_ns()}")
        print("ready", flush=True)
        sys.stdin.read()
        started = time.process_time()
        while ready.ledger.batch(BATCH).state is BatchState.ENDED:
            await steps.ingest(ready, BATCH)
            await asyncio.sleep(0.01)  # the last ranges may be in the other's hands
        print(time.process_time() - started, flush=True)


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(_work(Path(sys.argv[1]), Path(sys.argv[2])))
