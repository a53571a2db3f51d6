"""The check, alone and with staging, on one core against a loop that does nothing but ``orjson.loads``.

As a worker does with an object in Cloud Storage: one pass that only checks, then a second one that writes
input and manifest of every part to disk. Reading over the network and uploading are left out.
"""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks import requests
from benchmarks.measure import Measured, race
from benchmarks.parse import bare
from vertexq.check.verdict import Prepared, Verdict, note_keys
from vertexq.families.gemini import FAMILY
from vertexq.intake import Intake
from vertexq.sources.kept import KeptRows
from vertexq.sources.reader import SourceReader
from vertexq.steps.parts import PartWriter
from vertexq.uniqueness import KeyLog

ROWS, FEW = 200_000, 20_000
ROUNDS = 3
CHUNK_BYTES = 1024 * 1024
LIMIT_BYTES = 32 * 1024 * 1024
KIB_PER_MIB = 1024
_AIMS = {
    "structured": ">= 0.25 of a bare orjson.loads loop",
    "prompts": "no aim: a line of two texts is parsed in no time",
    "turns": "no aim: turns and media that differ are walked through",
}


def run() -> Iterator[Measured]:
    """Measure in CPU seconds, and the peak of resident memory in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in requests.KINDS:
            rows = FEW if kind == "turns" else ROWS
            path = requests.write(Path(folder) / f"{kind}.jsonl", kind, rows)
            yield _race(
                f"check, {kind}", checked, path, rows, aim="as near to a bare orjson.loads loop as can be"
            )
            yield _race(f"check + stage, {kind}", staged, path, rows, aim=_AIMS[kind])
        yield _memory(Path(folder))


def _race(name: str, ours: Callable[[Path], object], path: Path, rows: int, *, aim: str) -> Measured:
    peer = partial(bare, path)
    return race(name, ours=partial(ours, path), peer=peer, rows=rows, aim=aim, rounds=ROUNDS)


def checked(path: Path) -> Verdict:
    """Read and check every row; collection is off, as it is in a worker's step."""
    gc.disable()
    try:
        intake = Intake(FAMILY, name=path.name, only_check=True)
        with closing(KeyLog()) as keys:
            for rows in _blocks(path, intake):
                note_keys(rows, keys)
            intake.note_duplicates(keys)
        return intake.close()
    finally:
        gc.enable()


def staged(path: Path) -> int:
    """Check, then write parts of the rows that were kept, as staging does; return the rows written."""
    count = 0
    gc.disable()
    try:
        intake = Intake(FAMILY, name=path.name)
        with closing(KeyLog()) as keys, closing(KeptRows(limit_bytes=FAMILY.input_limit_bytes)) as kept:
            for rows in _blocks(path, intake):
                kept.add(rows)
                note_keys(rows, keys)
            intake.note_duplicates(keys)
            verdict = intake.close()
            assert kept.is_whole
            writer = PartWriter(
                FAMILY.wire, rows_limit=FAMILY.rows_limit, bytes_limit=FAMILY.input_limit_bytes
            )
            for part in (one for rows in kept for one in writer.add(verdict.sift(rows))):
                count += part.rows
                part.close()
            for part in writer.close():
                count += part.rows
                part.close()
    finally:
        gc.enable()
    assert count == verdict.report.rows, count
    return count


def _blocks(path: Path, intake: Intake) -> Iterator[list[Prepared]]:
    reader = SourceReader(path.name, intake, line_limit_bytes=LIMIT_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield from reader.feed(chunk)
    yield from reader.close()


def _memory(folder: Path) -> Measured:
    few, many = (_peak_mib(folder, rows) for rows in (FEW, ROWS))
    return Measured(
        name=f"peak memory, check + stage of {ROWS:,} rows over {FEW:,}",
        ours=many,
        peer=few,
        ratio=few / many,
        unit="MiB",
        aim="many - few <= 64 MiB",
    )


def _peak_mib(folder: Path, rows: int) -> float:
    path = requests.write(folder / f"{rows}.jsonl", "structured", rows)
    command = [sys.executable, "-m", "benchmarks.check", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(said.stdout)


if __name__ == "__main__":
    staged(Path(sys.argv[1]))
    (high,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(high) / KIB_PER_MIB)  # of this process alone; getrusage counts who started it
