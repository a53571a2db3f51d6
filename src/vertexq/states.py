"""Which state follows which: submissions, batches, and Google's own job states. No I/O.

Every move in the ledger is checked against these tables; see ``docs/architecture.md`` for the drawing.
"""

from __future__ import annotations

from enum import StrEnum


class SubmissionState(StrEnum):
    """Where a submission stands."""

    QUEUED = "queued"  # enqueued, nobody has looked at its rows yet
    STAGING = "staging"  # its rows are being checked, split and uploaded
    RUNNING = "running"  # its batches are being created, polled and ingested
    SETTLING = "settling"  # every batch has ended; rows are being accounted for
    DONE = "done"  # every row is accounted for in the store
    REJECTED = "rejected"  # the check failed; nothing was sent
    PARKED = "parked"  # a person must decide; the reason says what about
    CANCELLING = "cancelling"  # asked to stop; finished rows are still collected
    CANCELLED = "cancelled"  # stopped; finished rows are in the store
    FAILED = "failed"  # it ended without one row answered


class BatchState(StrEnum):
    """Where a batch stands on our side; Google's state is a column beside it."""

    READY = "ready"  # staged, not sent
    SENDING = "sending"  # one worker is making the paid call
    AMBIGUOUS = "ambiguous"  # the call had no clear answer: looking for the job by its label
    BOUND = "bound"  # we know the job's name
    ONLINE = "online"  # its rows are being answered one by one; there is no job
    ENDED = "ended"  # the job ended; its output is being ingested
    INGESTED = "ingested"  # every output line is in the store
    REFUSED = "refused"  # Google refused the create; nothing runs
    LOST = "lost"  # the job vanished: a person must look
    WITHDRAWN = "withdrawn"  # never sent: the submission was cancelled, or its deadline passed
    ASIDE = "aside"  # rows that the check set aside: never sent, they end as failed with their reason


class JobState(StrEnum):
    """Google's states (aiplatform v1 discovery document, revision 20261106)."""

    UNSPECIFIED = "JOB_STATE_UNSPECIFIED"  # also what an absent state means
    QUEUED = "JOB_STATE_QUEUED"
    PENDING = "JOB_STATE_PENDING"
    RUNNING = "JOB_STATE_RUNNING"
    SUCCEEDED = "JOB_STATE_SUCCEEDED"  # may hold failed rows, even nothing else
    FAILED = "JOB_STATE_FAILED"
    CANCELLING = "JOB_STATE_CANCELLING"  # may still end SUCCEEDED
    CANCELLED = "JOB_STATE_CANCELLED"  # finished rows were exported and are paid for
    PAUSED = "JOB_STATE_PAUSED"
    EXPIRED = "JOB_STATE_EXPIRED"
    UPDATING = "JOB_STATE_UPDATING"
    PARTIALLY_SUCCEEDED = "JOB_STATE_PARTIALLY_SUCCEEDED"


_S, _B = SubmissionState, BatchState

SUBMISSION_TERMINAL = frozenset({_S.DONE, _S.REJECTED, _S.CANCELLED, _S.FAILED})
SUBMISSION_RESTING = SUBMISSION_TERMINAL | {_S.PARKED}  # nothing happens unless somebody acts
BATCH_TERMINAL = frozenset({_B.INGESTED, _B.REFUSED, _B.LOST, _B.WITHDRAWN, _B.ASIDE})
BATCH_ACTIVE = frozenset({_B.SENDING, _B.AMBIGUOUS, _B.BOUND})  # holds one of the slots for running jobs
JOB_TERMINAL = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.PARTIALLY_SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.EXPIRED,
    }
)

SUBMISSION_MOVES: dict[SubmissionState, frozenset[SubmissionState]] = {
    _S.QUEUED: frozenset({_S.STAGING, _S.CANCELLING, _S.CANCELLED, _S.REJECTED, _S.PARKED}),
    _S.STAGING: frozenset({_S.RUNNING, _S.REJECTED, _S.PARKED, _S.CANCELLING, _S.FAILED}),
    _S.RUNNING: frozenset({_S.SETTLING, _S.PARKED, _S.CANCELLING}),
    _S.SETTLING: frozenset({_S.DONE, _S.FAILED, _S.RUNNING, _S.PARKED}),
    _S.PARKED: frozenset({_S.QUEUED, _S.RUNNING, _S.SETTLING, _S.CANCELLING}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.DONE: frozenset({_S.SETTLING}),  # settling once more: somebody wants rows to be tried again
    _S.REJECTED: frozenset(),
    _S.CANCELLED: frozenset({_S.SETTLING}),
    _S.FAILED: frozenset({_S.SETTLING}),
}

BATCH_MOVES: dict[BatchState, frozenset[BatchState]] = {
    # bound: an earlier attempt's job turned up; online: a batch whose rows are answered without one
    _B.READY: frozenset({_B.SENDING, _B.BOUND, _B.ONLINE, _B.WITHDRAWN}),
    _B.SENDING: frozenset({_B.BOUND, _B.AMBIGUOUS, _B.REFUSED}),
    _B.AMBIGUOUS: frozenset({_B.BOUND, _B.READY, _B.WITHDRAWN}),
    _B.BOUND: frozenset({_B.ENDED, _B.LOST}),
    _B.ONLINE: frozenset({_B.ENDED}),
    _B.ENDED: frozenset({_B.INGESTED}),
    _B.REFUSED: frozenset({_B.READY}),
    _B.LOST: frozenset({_B.BOUND}),
    _B.INGESTED: frozenset(),
    _B.WITHDRAWN: frozenset(),
    _B.ASIDE: frozenset(),
}


def may_follow(now: SubmissionState | BatchState, then: SubmissionState | BatchState) -> bool:
    """Tell whether a record in state ``now`` may move to ``then``."""
    if isinstance(now, SubmissionState):
        return then in SUBMISSION_MOVES[now]
    return then in BATCH_MOVES[now]


def job_state(value: object) -> JobState | None:
    """Read Google's state; an absent one is UNSPECIFIED, one we do not know is None (keep waiting)."""
    if value in (None, ""):
        return JobState.UNSPECIFIED
    try:
        return JobState(str(value))
    except ValueError:
        return None
