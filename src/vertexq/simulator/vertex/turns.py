"""Kinds of which only so many jobs run at once in a project, and every job that did not wait for its turn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from vertexq.model import JobError
from vertexq.simulator.jobs import SimulatedJob
from vertexq.simulator.vertex.jobs import JobBook
from vertexq.simulator.vertex.models import Models
from vertexq.states import JobState

_RUNS = frozenset({JobState.RUNNING, JobState.CANCELLING, JobState.PAUSED, JobState.UPDATING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A job that was to run while as many of its kind ran as may; full names."""

    name: str
    others: tuple[str, ...]
    time: datetime


class Turns:
    """Lets jobs run; ``overlaps`` is the oracle of those that came out of turn, oldest first."""

    def __init__(self, models: Models) -> None:
        self.overlaps: list[Overlap] = []
        self._models = models

    def fault(self, job: SimulatedJob, book: JobBook, *, strict: bool) -> JobError | None:
        """Return the error that ends a job that is to run now; None when it may run.

        Nobody has published what Google says to such a job; the words are ours. Unless ``strict`` it is only
        written down.
        """
        kind = self._models.kind_of(job.model)
        others = tuple(other.name for other in book.unfinished() if self._runs_beside(job, other))
        if not kind.at_once or len(others) < kind.at_once:
            return None
        self.overlaps.append(Overlap(name=job.name, others=others, time=datetime.now(UTC)))
        text = f"Quota exceeded: {kind.at_once} batch prediction job of this kind of model can run at a time."
        return JobError(code=8, message=text) if strict else None

    def _runs_beside(self, job: SimulatedJob, other: SimulatedJob) -> bool:
        return (
            other.state in _RUNS
            and other.project == job.project
            and other.name != job.name
            and self._models.kind_of(other.model).name == self._models.kind_of(job.model).name
        )
