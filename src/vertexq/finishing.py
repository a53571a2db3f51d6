"""Finishing online: when the last rows of a submission are answered one by one, not by a job. No I/O.

A row goes online once. Who asks for it pays the online price, twice that of a batch, and does not wait in
Google's queue for a job of a few rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vertexq import ranks
from vertexq.deadlines import was_cut
from vertexq.model import Batch, Submission
from vertexq.rounds import job_may_pass, rows_with
from vertexq.states import BATCH_TERMINAL, BatchState, SubmissionState

PASSES = 3
"""So often the rows of a batch are gone through; after that an error that may pass has come to stay."""


def finishes_online(submission: Submission) -> bool:
    """Tell whether the last rows of a submission are to be answered online: it is asked for, and goes on."""
    stopping = submission.cancel_requested or submission.state is SubmissionState.CANCELLING
    return submission.terms.finish_online > 0 and not stopping


def nothing_else_runs(batches: Iterable[Batch]) -> bool:
    """Tell whether every job has ended: only then it is known how many rows are left."""
    return all(batch.online or batch.state in BATCH_TERMINAL for batch in batches)


def left_rows(submission: Submission, batch: Batch) -> frozenset[int]:
    """Return the rows of an ended batch that may be answered online.

    Those have no answer, or an error that may pass; their job may fare better another time, or it was stopped
    or never sent because the deadline had passed. Rows that were online before are not among them.
    """
    late = batch.state is BatchState.WITHDRAWN or was_cut(submission, batch)
    if batch.online or not (late or job_may_pass(batch)):
        return frozenset()
    return rows_with(batch, ranks.OPEN)


def are_few(rows: int, submission: Submission) -> bool:
    """Tell whether so many rows are fewer than those that are to be answered online."""
    return 0 < rows < submission.terms.finish_online


def answered_online(batches: Sequence[Batch]) -> int:
    """Return how many rows have their answer from online calls."""
    return sum(batch.counts.succeeded + batch.counts.blocked for batch in batches if batch.online)
