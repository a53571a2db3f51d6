"""Rounds in the ledger: a batch that rests, a submission that settles once more, and who may ask for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger_values import LONG_S, held, new_batch, running
from tests.contract.waiting_line import LOCATION, PROJECT
from vertexq.errors import NotDone
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.ledger.values import BatchFields
from vertexq.model import Retry
from vertexq.rounds import RESTS
from vertexq.states import BatchState, SubmissionState

S = SubmissionState
FAILED = Retry(outcomes=("failed", "missing"), model="gemini-2.5-pro")


def ended(ledger: Ledger, name: str = "s-1", *, state: S = S.DONE) -> None:
    """Let a submission of one batch come to its end."""
    (batch,) = running(ledger, name)
    claim = held(ledger, Record.SUBMISSION, name)
    ledger.move_batch(batch, BatchState.WITHDRAWN, claim=claim)
    submission = ledger.submission(name)
    if state is S.CANCELLED:
        submission = ledger.request_cancel(name)
    elif state is not S.PARKED:
        submission = ledger.move_submission(submission, S.SETTLING, claim=claim)
    ledger.move_submission(submission, state, claim=claim)
    ledger.release(claim)


def test_a_batch_that_rests_takes_no_slot_and_is_due_in_time(ledger: Ledger) -> None:
    """It is not handed out, it keeps nobody else waiting, and no hint is sent for it."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.SUBMISSION, "s-1")
    ledger.move_batch(batch, BatchState.WITHDRAWN, claim=claim)
    left = [(ledger.batch(batch.id), BatchFields())]
    ledger.succeed(
        left, replace(new_batch(1), project=PROJECT, location=LOCATION, rest_s=LONG_S), claim=claim
    )
    ledger.succeed([], replace(new_batch(2), project=PROJECT, location=LOCATION), claim=claim)

    handed_out = ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=1), shares={})

    resting = ledger.batches("s-1")[1]
    due = {one.id for one in ledger.due(limit=9, resend_after_s=0.0)}
    assert handed_out == [new_batch(2).id]
    assert (resting.attempts, resting.state) == (RESTS, BatchState.READY)
    assert resting.id not in due


@pytest.mark.parametrize("state", [S.DONE, S.FAILED, S.CANCELLED, S.PARKED])
def test_what_has_ended_settles_once_more(ledger: Ledger, state: S) -> None:
    """It is due at once, has not finished any more, and its cancel was for what is over."""
    ended(ledger, state=state)

    asked = ledger.request_retry("s-1", FAILED)

    assert (asked.state, asked.retry, asked.cancel_requested) == (S.SETTLING, FAILED, False)
    assert asked.finished_at is None
    assert asked.next_action_at is not None
    assert ledger.request_retry("s-1", FAILED) == asked
    assert [line.to_state for line in ledger.audit(Record.SUBMISSION, "s-1")][-1] == S.SETTLING


def test_what_is_under_way_cannot_be_tried_again(ledger: Ledger) -> None:
    """Running, or parked while a batch may still be sent; nothing is changed."""
    running(ledger)
    with pytest.raises(NotDone, match="running"):
        ledger.request_retry("s-1", FAILED)
    ledger.move_submission(ledger.submission("s-1"), S.PARKED)
    before = ledger.submission("s-1")

    with pytest.raises(NotDone, match="parked"):
        ledger.request_retry("s-1", FAILED)

    assert ledger.submission("s-1") == before


def test_only_a_deadline_that_has_passed_is_dropped(ledger: Ledger) -> None:
    """One that lies ahead still holds."""
    for name in ("late", "early"):
        ended(ledger, name)
    now = ledger.now()
    ledger.update_submission(ledger.submission("late"), deadline_at=now)
    ledger.update_submission(ledger.submission("early"), deadline_at=now.replace(year=now.year + 1))

    assert ledger.request_retry("late", FAILED).deadline_at is None
    assert ledger.request_retry("early", FAILED).deadline_at is not None
