"""Moves: compare-and-set, checked against the table of states, and written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.contract.ledger_values import B, S, bound, held, new_submission, running, staging
from tests.contract.racing import at_once
from vertexq.errors import Conflict
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.model import Batch, Counts, JobError, JobStats, Usage

LATER = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_move_is_written_down(ledger: Ledger) -> None:
    """The audit trail says from where to where, by whom, when and why."""
    submission, claim = staging(ledger)

    ledger.move_submission(submission, S.REJECTED, claim=claim, reason="line 3 is no JSON")

    lines = ledger.audit(Record.SUBMISSION, "s-1")
    assert [(line.from_state, line.to_state, line.version, line.actor, line.reason) for line in lines] == [
        ("", "queued", 1, "producer", ""),
        ("queued", "staging", 2, "worker-1", ""),
        ("staging", "rejected", 3, "worker-1", "line 3 is no JSON"),
    ]
    assert lines[0].at <= lines[1].at <= lines[2].at <= ledger.now()


def test_an_illegal_move_is_a_mistake_of_ours(ledger: Ledger) -> None:
    """What the table of states does not know raises ``ValueError`` and changes nothing."""
    (batch,) = running(ledger)
    submission = ledger.submission("s-1")

    with pytest.raises(ValueError, match=r"ready.*ended"):
        ledger.move_batch(batch, B.ENDED)
    with pytest.raises(ValueError, match=r"running.*done"):
        ledger.move_submission(submission, S.DONE)

    assert ledger.submission("s-1") == submission
    assert ledger.batches("s-1") == [batch]


def test_a_batch_that_was_sent_cannot_be_sent_again(ledger: Ledger) -> None:
    """There is no way from sending back to sending but through a look for the job."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.BATCH, batch.id)
    sent = ledger.start_sending(batch, claim=claim, output_prefix="gs://b/1", bounds=Bounds(jobs=9))
    assert isinstance(sent, Batch)

    with pytest.raises(ValueError, match="sending"):
        ledger.start_sending(sent, claim=claim, output_prefix="gs://b/2", bounds=Bounds(jobs=9))


def test_an_older_version_loses(ledger: Ledger) -> None:
    """Who read the record before somebody else moved it must read it again."""
    ledger.enqueue(new_submission())
    seen = ledger.submission("s-1")
    ledger.update_submission(seen, attempts=1)

    with pytest.raises(Conflict, match="version 2"):
        ledger.move_submission(seen, S.STAGING)
    with pytest.raises(Conflict):
        ledger.update_submission(seen, attempts=2)

    assert ledger.submission("s-1").attempts == 1


def test_of_eight_movers_one_moves(ledger: Ledger) -> None:
    """A compare-and-set has one winner, and one audit line."""
    (batch,) = running(ledger)

    def withdraw(_number: int) -> bool:
        try:
            ledger.move_batch(batch, B.WITHDRAWN)
        except Conflict:
            return False
        return True

    assert sorted(at_once(8, withdraw)) == [False] * 7 + [True]
    assert len(ledger.audit(Record.BATCH, batch.id)) == 2


def test_every_field_of_a_batch_comes_back(ledger: Ledger) -> None:
    """Values of the model, numbers beyond 32 bits and instants survive the way into the ledger and out."""
    (ready,) = running(ledger)
    batch = bound(ledger, ready)

    changed = ledger.update_batch(
        batch,
        job_state="JOB_STATE_RUNNING",
        job_state_since=LATER,
        job_error=JobError(code=3, message="naïve \ud800 \x00"),
        output_directory="gs://bucket/out/1/prediction",
        stats=JobStats(successful=2**40, failed=None, incomplete=0),
        counts=Counts(succeeded=2**40, missing=1),
        usage=Usage(prompt_tokens=2**50, total_tokens=2**51),
        cost_pusd=2**60,
        quarantined_lines=3,
        found=b"\x00\xff" * 12_500,
        attempts=2,
        next_action_at=LATER,
        reason="waiting",
    )

    assert ledger.batch(batch.id) == changed
    assert changed.stats == JobStats(successful=2**40, failed=None, incomplete=0)
    assert (changed.usage.total_tokens, changed.cost_pusd) == (2**51, 2**60)
    assert (changed.job_state_since, changed.next_action_at) == (LATER, LATER)
    assert changed.job_error == JobError(code=3, message="naïve \ud800 \x00")
    assert changed.version == batch.version + 1


def test_a_list_of_batches_leaves_the_bitmap_out(ledger: Ledger) -> None:
    """Bitmaps are large; a list of batches does not carry them."""
    (batch,) = running(ledger)
    ledger.update_batch(batch, found=b"\xff" * 25_000)

    assert ledger.batches("s-1")[0].found == b""
    assert len(ledger.batch(batch.id).found) == 25_000


def test_an_instant_of_another_zone_is_the_same_instant(ledger: Ledger) -> None:
    """What goes in with an offset comes out in UTC; what has no zone is refused."""
    ledger.enqueue(new_submission())
    seen = ledger.submission("s-1")
    abroad = LATER.astimezone(timezone(timedelta(hours=9)))

    changed = ledger.update_submission(seen, next_action_at=abroad)

    assert changed.next_action_at is not None
    assert changed.next_action_at == LATER
    assert changed.next_action_at.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="time zone"):
        ledger.update_submission(changed, next_action_at=LATER.replace(tzinfo=None))


def test_a_reason_that_a_database_cannot_hold_is_kept_readable(ledger: Ledger) -> None:
    """Google's words may hold a NUL or half a character; they must not stop a move."""
    ledger.enqueue(new_submission())

    moved = ledger.move_submission(ledger.submission("s-1"), S.PARKED, reason="bad \x00 row \ud83d!")

    assert moved.reason.startswith("bad ")
    assert moved.reason.endswith("!")
    assert ledger.audit(Record.SUBMISSION, "s-1")[-1].reason == moved.reason


def test_a_reason_belongs_to_the_state_it_came_with(ledger: Ledger) -> None:
    """The next move forgets it; the audit trail does not."""
    ledger.enqueue(new_submission())
    parked = ledger.move_submission(ledger.submission("s-1"), S.PARKED, reason="no credentials")

    assert ledger.move_submission(parked, S.QUEUED).reason == ""
