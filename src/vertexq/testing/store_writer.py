"""A child process of the store contract: ``python -m vertexq.testing.store_writer URL ENDPOINT LEDGER JOB``.

``write``: commits the chunks of a made-up range, going on where the store's progress is, until all are in or
the process is killed. ``read``: streams all results and prints by how many bytes its peak memory grew.
"""

from __future__ import annotations

import resource
import sys

from vertexq.stores import Store, open_store
from vertexq.testing.store_rows import SUBMISSION, chunks_of, source_range

CHUNKS, ROWS = 12, 40


def main(url: str, storage_endpoint: str, ledger_url: str, job: str) -> None:
    """Run one job against the store at ``url``."""
    opened = open_store(url, storage_endpoint=storage_endpoint, ledger_url=ledger_url, name="contract")
    with opened as store:
        _say("ready")
        if job == "write":
            _write(store)
        else:
            _read(store)


def _write(store: Store) -> None:
    source = source_range("killed")
    at = store.progress(source).position
    for chunk in chunks_of(source, chunks=CHUNKS, rows=ROWS):
        if chunk.start >= at:
            store.write(chunk, fence=1)
    store.finish(SUBMISSION)


def _read(store: Store) -> None:
    results = store.results(SUBMISSION)
    next(results)
    before = _peak_bytes()
    rows = 1 + sum(1 for _ in results)
    _say(f"{rows} {_peak_bytes() - before}")


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
