"""Peak memory of an ingest of many rows against that of few: each in a fresh process, from the OS' books."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import ingest
from benchmarks.measure import Measured
from benchmarks.objects import serving

FEW, MANY = 10_000, 1_000_000
KIB_PER_MIB = 1024


def run() -> Iterator[Measured]:
    """Measure resident memory in MiB; ``ratio`` is few to many, 1.0 when memory is flat."""
    few, many = peak_mib(FEW), peak_mib(MANY)
    yield Measured(
        name=f"peak memory, ingest of {MANY:,} rows over {FEW:,}",
        ours=many,
        peer=few,
        ratio=few / many,
        unit="MiB",
        aim="many - few <= 64 MiB",
    )


def peak_mib(rows: int) -> float:
    """Ingest ``rows`` rows into SQLite in a process of its own; return its peak resident memory."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), rows) as endpoint:
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", folder, endpoint, str(rows)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(said.stdout.splitlines()[-1])  # the step logs before it


def _measured(folder: str, endpoint: str, rows: int) -> float:
    url = f"sqlite:///{folder}/results.db"
    ingest(Path(folder), endpoint=endpoint, store_url=url, rows=rows)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


if __name__ == "__main__":
    print(_measured(sys.argv[1], sys.argv[2], int(sys.argv[3])))
