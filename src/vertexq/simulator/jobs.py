"""A simulated job and its life: which state follows which, and what each move changes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from vertexq.errors import Refused
from vertexq.model import JobError
from vertexq.states import JOB_TERMINAL, JobState

_S = JobState

# aiplatform v1, JobState and BatchPredictionJob (discovery revision 20261106)
MOVES: dict[JobState, frozenset[JobState]] = {
    _S.PENDING: frozenset({_S.QUEUED, _S.RUNNING, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.FAILED, _S.CANCELLED, _S.EXPIRED}),
    _S.RUNNING: frozenset(
        {_S.SUCCEEDED, _S.PARTIALLY_SUCCEEDED, _S.FAILED, _S.CANCELLING, _S.PAUSED, _S.UPDATING}
    ),
    _S.CANCELLING: frozenset({_S.SUCCEEDED, _S.PARTIALLY_SUCCEEDED, _S.FAILED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.CANCELLING}),
    _S.UPDATING: frozenset({_S.RUNNING, _S.CANCELLING}),
}
CANCELLED_ERROR = JobError(code=1, message="CANCELED")  # one L, as Google writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Rows of a job by how they stand."""

    successful: int = 0
    failed: int = 0
    incomplete: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedJob:
    """A job as the simulator keeps it. ``number`` counts the jobs of a simulator; ``project`` is a number."""

    number: int
    id: str
    project: str
    location: str
    display_name: str
    model: str
    input_uris: tuple[str, ...]
    output_prefix: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, object] = field(
        default_factory=dict[str, object]
    )  # of its create, as Google spells it
    state: JobState = JobState.PENDING
    state_word: str = ""  # shown instead of the state
    created: datetime
    updated: datetime
    started: datetime | None = None
    ended: datetime | None = None
    error: JobError | None = None
    tally: Tally | None = None
    output_directory: str = ""

    @property
    def name(self) -> str:
        """The resource name, with the project's number."""
        return f"projects/{self.project}/locations/{self.location}/batchPredictionJobs/{self.id}"

    @property
    def finished(self) -> bool:
        """Say whether nothing more will happen to the job."""
        return self.state in JOB_TERMINAL

    def moved(self, to: JobState, at: datetime) -> SimulatedJob:
        """Return the job in state ``to``; raise ``ValueError`` for a move that Google does not make."""
        if to not in MOVES.get(self.state, frozenset()):
            raise ValueError(f"a job does not go from {self.state} to {to}")
        started = at if to is JobState.RUNNING and self.started is None else self.started
        ended = at if to in JOB_TERMINAL else None
        return replace(self, state=to, updated=at, started=started, ended=ended, state_word="")

    def failed(self, error: JobError, at: datetime) -> SimulatedJob:
        """Return the job FAILED with ``error``."""
        return replace(self.moved(JobState.FAILED, at), error=error)

    def counted(self, tally: Tally, at: datetime) -> SimulatedJob:
        """Return the job with new counters."""
        return replace(self, tally=tally, updated=at)

    def cancel_asked(self, at: datetime) -> SimulatedJob:
        """Return the job as a cancel leaves it; raise ``Refused`` (400) for a finished one.

        A job that does not run yet is CANCELLED at once, a running one is CANCELLING.
        """
        if self.finished:
            raise Refused(
                f"The job {self.name} is already in a terminal state: {self.state}.",
                status=400,
                code="FAILED_PRECONDITION",
            )
        if self.state in {JobState.PENDING, JobState.QUEUED}:
            return self.cancelled(at)
        return self if self.state is JobState.CANCELLING else self.moved(JobState.CANCELLING, at)

    def cancelled(self, at: datetime) -> SimulatedJob:
        """Return the job CANCELLED, with the error that says so."""
        return replace(self.moved(JobState.CANCELLED, at), error=CANCELLED_ERROR)
