"""The jobs the simulator knows: found by name, listed newest first, kept in a file between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vertexq.simulator.jobs import SimulatedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A line of the file: a job as it was from then on, None once it is forgotten."""

    name: str
    job: SimulatedJob | None


class JobBook:
    """Jobs by their last segment and location; with a ``path`` every state is written down."""

    def __init__(self, path: Path | None, *, seed: int) -> None:
        self._path = path
        self._seed = seed
        self._jobs: dict[str, SimulatedJob] = {}
        self._last = 0
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    entry = msgspec.json.decode(line, type=_Entry)
                except msgspec.DecodeError:  # the last line of a simulator that was killed
                    continue
                if entry.job is None:
                    self._jobs.pop(entry.name, None)
                    continue
                self._jobs[entry.name] = entry.job
                self._last = max(self._last, entry.job.number)

    def _write(self, entry: _Entry) -> None:
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")

    def next_number(self) -> int:
        """Return the place of the next job in the order of creation, from 1."""
        self._last += 1
        return self._last

    def job_id(self, number: int) -> str:
        """Return the id of the job at this place: 19 digits that the seed decides."""
        digest = hashlib.blake2b(f"{self._seed}/{number}".encode(), digest_size=8).digest()
        return str(10**18 + int.from_bytes(digest) % (8 * 10**18))

    def put(self, job: SimulatedJob) -> None:
        """Keep this state of a job; a change of ``state`` goes to the file."""
        before = self._jobs.get(job.name)
        self._jobs[job.name] = job
        if before is None or before.state is not job.state:
            self._write(_Entry(name=job.name, job=job))

    def get(self, name: str) -> SimulatedJob | None:
        """Return the job of this full name, which bears the project's number."""
        return self._jobs.get(name)

    def drop(self, name: str) -> None:
        """Forget a job."""
        self._jobs.pop(name, None)
        self._write(_Entry(name=name, job=None))

    def newest_first(self, parent: str, *, before: int | None = None) -> Iterator[SimulatedJob]:
        """Yield the jobs of ``projects/N/locations/L`` created before place ``before``."""
        start = f"{parent}/batchPredictionJobs/"
        for job in reversed(list(self._jobs.values())):
            if job.name.startswith(start) and (before is None or job.number < before):
                yield job

    def unfinished(self) -> list[SimulatedJob]:
        """Return the jobs that were under way when the file was last written."""
        return [job for job in self._jobs.values() if not job.finished]
