"""Rounds: which rows of a batch are tried again, and what its successor knows of them. No I/O.

A round is a batch made of rows that earlier batches have left without an answer, or with an error that may
pass. A row is accounted for in one batch only: the one that tried it last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from vertexq import ranks
from vertexq.deadlines import is_late
from vertexq.errors import NotDone
from vertexq.model import Batch, Retry, Submission
from vertexq.results import Outcome
from vertexq.retry import Backoff
from vertexq.states import BATCH_TERMINAL, BatchState, JobState, SubmissionState

BY_HAND = (Outcome.FAILED, Outcome.BLOCKED, Outcome.MISSING, Outcome.QUARANTINED)
"""Outcomes that a person may want to have tried again; succeeded rows have their answer."""
RESTS = -1
"""A ready batch with so many ``attempts`` rests until its time has come; then it gets into the line."""
CODES_THAT_PASS = frozenset({4, 8, 10, 13, 14})
"""gRPC codes of jobs that may fare better another time: deadline exceeded, resource exhausted, aborted,
internal, unavailable (google.rpc.Code)."""
_FINISHED = frozenset({JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED, JobState.EXPIRED})
_NOT_BY_HAND = frozenset({BatchState.LOST, BatchState.ASIDE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Rows of a batch, by index, that are to be tried again. ``batch`` is with ``found``.

    ``online`` rows are answered one by one instead of by a job.
    """

    batch: Batch
    rows: frozenset[int]
    online: bool = False

    @property
    def found(self) -> bytearray:
        """Return the state of the batch's rows."""
        return ranks.unpack(self.batch.found, rows=self.batch.rows)

    def left(self) -> bytearray:
        """Return the state of the batch once these rows are its successor's."""
        found = self.found
        for index in self.rows:
            found[index] = ranks.HANDED_OVER
        return found

    def inherited(self) -> bytes:
        """Return what the successor knows of these rows, in the order of their indexes."""
        found = self.found
        return bytes(ranks.inherited(found[index]) for index in sorted(self.rows))


def job_may_pass(batch: Batch) -> bool:
    """Tell whether rows that a batch's job left open may fare better in another one.

    Not when somebody cancelled it, nor when it failed for a reason that the next one would meet as well.
    """
    if batch.state is not BatchState.INGESTED:
        return False
    if batch.job_state == JobState.FAILED:
        return batch.job_error is not None and batch.job_error.code in CODES_THAT_PASS
    return batch.job_state in _FINISHED


def has_rounds(submission: Submission, now: datetime) -> bool:
    """Tell whether rows of a submission may be tried again by themselves: not late, not to be stopped."""
    stopping = submission.cancel_requested or submission.state is SubmissionState.CANCELLING
    return not stopping and not is_late(submission, now)


def open_rows(batch: Batch, *, most: int) -> frozenset[int]:
    """Return the rows of an ended batch that are tried again by themselves, at most ``most`` times.

    Those are rows without an answer, and failed ones whose error may pass (408, 429, 5xx but 501); what was
    answered online is not.
    """
    if batch.online or batch.round >= most or not job_may_pass(batch):
        return frozenset()
    return rows_with(batch, ranks.OPEN)


def asked_for(batch: Batch, retry: Retry) -> frozenset[int]:
    """Return the rows of an ended batch that somebody wants to have tried again.

    Never those of a lost batch, whose job may still run and be paid for, nor those that the check set aside.
    """
    if batch.state not in BATCH_TERMINAL - _NOT_BY_HAND:
        return frozenset()
    wanted = {byte for byte in range(256) if ranks.outcome_of(byte) in retry.outcomes}
    return rows_with(batch, wanted | ({ranks.NOT_FOUND} if Outcome.MISSING in retry.outcomes else set()))


def not_done(submission: Submission) -> NotDone:
    """Return the error for who asks before a submission has come to its end."""
    return NotDone(
        f"submission {submission.id} is {submission.state} and has not come to its end; rows can be tried "
        "again once it has"
    )


def unanswered(batch: Batch) -> frozenset[int]:
    """Return the rows that nothing was found of."""
    return rows_with(batch, frozenset({ranks.NOT_FOUND}))


def rows_with(batch: Batch, wanted: Collection[int]) -> frozenset[int]:
    """Return the rows whose state is one of ``wanted``, by index."""
    found = ranks.unpack(batch.found, rows=batch.rows)
    if not any(byte in found for byte in wanted):
        return frozenset()
    return frozenset(index for index, byte in enumerate(found) if byte in wanted)


def left_pusd(submission: Submission, batches: Iterable[Batch]) -> int | None:
    """Return what a submission's budget leaves for another round, in pico-dollars; None without a budget.

    Jobs that have ended count with what they have cost, all others with their estimate at least.
    """
    budget = submission.terms.budget_pusd
    if budget is None:
        return None
    return budget - sum(_taken_pusd(batch) for batch in batches)


def _taken_pusd(batch: Batch) -> int:
    estimated = batch.estimate.cost_pusd if batch.estimate else None
    if batch.state is BatchState.INGESTED:
        return batch.cost_pusd
    never = batch.state in BATCH_TERMINAL and batch.state is not BatchState.LOST
    return batch.cost_pusd if never else max(batch.cost_pusd, estimated or 0)


def rest_s(done: int, *, first_s: float, longest_s: float, luck: float) -> float:
    """Return how long rows rest before a round, after ``done`` rounds: twice as long each time.

    With 300 s and four hours, apart from luck: 300, 600, 1,200, ... 14,400.
    """
    return Backoff(first_s=first_s, longest_s=longest_s).wait_s(done + 1, luck=luck) if first_s else 0.0


def difference(batch: Batch, found: bytearray | bytes) -> str:
    """Say in what Google's count of answers differs from what its output held; "" when it does not.

    Google leaves out counters that are 0 and those that it does not know (-1): with one of them away its sum
    is the least it can be. Lines that cannot be read may be answers. Once rows were handed over, what was
    said before stays.
    """
    successful, failed = batch.stats.successful, batch.stats.failed
    if batch.state is not BatchState.INGESTED or ranks.HANDED_OVER in found or batch.reason:
        return batch.reason
    if successful is None and failed is None:
        return ""
    counted, held = (successful or 0) + (failed or 0), ranks.answered(found)
    too_many = held > counted and successful is not None and failed is not None
    if not too_many and counted <= held + batch.quarantined_lines:
        return ""
    lines = (
        "1 line that matches"
        if batch.quarantined_lines == 1
        else f"{batch.quarantined_lines:,} lines that match"
    )
    unread = f" and {lines} none" if batch.quarantined_lines else ""
    return f"Google counts {counted:,} answers, its output holds {held:,}{unread}"
