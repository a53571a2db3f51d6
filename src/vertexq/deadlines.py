"""Deadlines: whether one has passed, what follows from it, and how it is told. No I/O."""

from __future__ import annotations

from datetime import datetime

from vertexq.model import Batch, OnDeadline, Submission
from vertexq.states import BatchState, JobState

ROUNDS = 3
"""So many times rows are run again after a deadline; the next time they are reported."""

_MAY_RUN_AGAIN = frozenset(
    {JobState.CANCELLED, JobState.EXPIRED, JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED}
)


def is_late(submission: Submission, now: datetime) -> bool:
    """Tell whether the submission's deadline has passed."""
    return submission.deadline_at is not None and submission.deadline_at <= now


def runs_again(submission: Submission) -> bool:
    """Tell whether rows without an answer are to be run again when the deadline has passed."""
    return submission.terms.on_deadline is OnDeadline.RERUN and submission.rounds < ROUNDS


def leaves_rest(batch: Batch) -> bool:
    """Tell whether rows that a batch left without an answer may be run again.

    Rows of a job that failed by itself, or vanished, have their reason already; it may even run and be paid.
    """
    ended_so = batch.job_state in _MAY_RUN_AGAIN
    return batch.state is BatchState.INGESTED and ended_so


def was_cut(submission: Submission, batch: Batch) -> bool:
    """Tell whether a batch's job was cancelled because the deadline had passed."""
    if submission.deadline_at is None or batch.job_state != JobState.CANCELLED:
        return False
    return batch.job_state_since is not None and batch.job_state_since >= submission.deadline_at


def passed(submission: Submission) -> str:
    """Return the reason: ``the deadline of 2026-11-21 15:30:00 UTC passed``."""
    return f"the deadline of {submission.deadline_at:%Y-%m-%d %H:%M:%S} UTC passed"
