"""A child process of the store contract: ``python -m vertexq.testing.store_writer URL ENDPOINT LEDGER JOB``.

``write``: commits the chunks of a made-up range, going on where the store's progress is, until all are in or
the process is killed. ``read``: streams all results and prints by how many bytes its peak memory grew.
``die N``: writes one chunk and dies by ``SIGKILL`` when the store looks at the N-th row, or right after the
commit. ``same NAME``: commits a range of its own with the keys of all others, every other row a failed one.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from vertexq.results import Row
from vertexq.stores import Store, open_store
from vertexq.testing.store_rows import (
    STEP_BYTES,
    SUBMISSION,
    bad_line,
    chunk,
    chunks_of,
    row,
    source_range,
)

CHUNKS, ROWS = 12, 40
SAME_CHUNKS = 4
DEADLY_ROWS = 60


def main(url: str, storage_endpoint: str, ledger_url: str, job: str, *given: str) -> None:
    """Run one job against the store at ``url``."""
    opened = open_store(url, storage_endpoint=storage_endpoint, ledger_url=ledger_url, name="contract")
    with opened as store:
        _say("ready")
        _JOBS[job](store, *given)


def _write(store: Store) -> None:
    source = source_range("killed")
    at = store.progress(source).position
    for made in chunks_of(source, chunks=CHUNKS, rows=ROWS):
        if made.start >= at:
            store.write(made, fence=1)
    store.finish(SUBMISSION)


def _read(store: Store) -> None:
    results = store.results(SUBMISSION)
    next(results)
    before = _peak_bytes()
    rows = 1 + sum(1 for _ in results)
    _say(f"{rows} {_peak_bytes() - before}")


class _Deadly(tuple[Row, ...]):  # noqa: SLOT001  (a tuple cannot have any)
    """Rows the n-th look at which is the last; looks are counted over all passes."""

    left: int

    def __iter__(self) -> Iterator[Row]:
        for one in super().__iter__():
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            yield one


def _die(store: Store, looks: str) -> None:
    rows = _Deadly(row(f"k{number}", text="x" * 500) for number in range(DEADLY_ROWS))
    rows.left = int(looks)
    store.write(replace(chunk(quarantined=(bad_line(1),)), rows=rows), fence=1)
    os.kill(os.getpid(), signal.SIGKILL)


def _same(store: Store, name: str) -> None:
    source = source_range(name)
    for number in range(SAME_CHUNKS):
        rows = [
            row(
                f"k{number}-{index}",
                batch_id=name,
                outcome="failed" if (index + len(name)) % 2 else "succeeded",
            )
            for index in range(ROWS)
        ]
        store.write(chunk(*rows, source=source, start=number * STEP_BYTES), fence=1)


_JOBS: dict[str, Callable[..., None]] = {"write": _write, "read": _read, "die": _die, "same": _same}


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
