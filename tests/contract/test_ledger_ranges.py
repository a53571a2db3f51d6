"""Output ranges and batches: pinned once, finished once, and accounted for in the same transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger_values import B, S, bound, held, new_batch, output_range, running, staging
from vertexq.errors import Conflict
from vertexq.ledger import Claim, Ledger, Record
from vertexq.model import Batch, Counts


def _ended(ledger: Ledger) -> tuple[Batch, Claim]:
    (ready,) = running(ledger)
    batch = ledger.move_batch(bound(ledger, ready), B.ENDED)
    return batch, held(ledger, Record.BATCH, batch.id)


def test_entered_batches_are_ready_and_due(ledger: Ledger) -> None:
    """The submission runs, knows its rows, and needs its spool no more."""
    submission, claim = staging(ledger)

    now_running = ledger.add_batches(submission, [new_batch(1), new_batch(0)], claim=claim)

    first, second = ledger.batches("s-1")
    assert (now_running.state, now_running.rows) == (S.RUNNING, 4)
    assert (first.ordinal, second.ordinal) == (0, 1)
    assert first.state is B.READY
    assert first.next_action_at == first.created_at
    assert first.labels == {"team": "search"}
    assert list(ledger.spool("s-1")) == []
    assert ledger.audit(Record.BATCH, first.id)[0].actor == "worker-1"


def test_five_thousand_batches_enter_at_once(ledger: Ledger) -> None:
    """A thousand million rows are one submission."""
    submission, claim = staging(ledger)

    ledger.add_batches(submission, [new_batch(number) for number in range(5_000)], claim=claim)

    assert [batch.ordinal for batch in ledger.batches("s-1")] == list(range(5_000))


def test_ranges_are_pinned_once(ledger: Ledger) -> None:
    """The first look at the output decides; a later look adds what is new and changes nothing."""
    batch, claim = _ended(ledger)
    first = output_range(batch, "a.jsonl")
    ledger.pin_ranges(batch, [first], claim=claim)

    grown = replace(first, end=9_000_000_000, size_bytes=9_000_000_000)
    pinned = ledger.pin_ranges(batch, [grown, output_range(batch, "b.jsonl")], claim=claim)

    assert pinned == [first, output_range(batch, "b.jsonl")]
    assert ledger.ranges(batch.id) == pinned
    assert ledger.pin_ranges(batch, [], claim=claim) == pinned


def test_a_finished_range_and_its_account_are_one(ledger: Ledger) -> None:
    """Counts and bitmap change together with the range, and with nothing when the batch was moved."""
    batch, claim = _ended(ledger)
    (part,) = ledger.pin_ranges(batch, [output_range(batch)], claim=claim)

    done = ledger.finish_range(batch, part, claim=claim, found=b"\x03", counts=Counts(succeeded=2))
    with pytest.raises(Conflict):
        ledger.finish_range(batch, part, claim=claim, counts=Counts(succeeded=4))

    assert ledger.ranges(batch.id) == [replace(part, done=True)]
    assert ledger.batch(batch.id) == done
    assert (done.found, done.counts.succeeded) == (b"\x03", 2)


def test_a_range_that_was_never_pinned_cannot_be_finished(ledger: Ledger) -> None:
    """It would be an account without its range."""
    batch, claim = _ended(ledger)

    with pytest.raises(ValueError, match="never pinned"):
        ledger.finish_range(batch, output_range(batch), claim=claim, counts=Counts(succeeded=2))

    assert ledger.batch(batch.id) == batch_without_lease(ledger, batch)


def batch_without_lease(ledger: Ledger, batch: Batch) -> Batch:
    """Return ``batch`` with the token that the claim on it has counted up."""
    return replace(batch, fence=ledger.batch(batch.id).fence)


def test_a_submission_is_ready_to_settle_when_its_last_batch_has_ended(ledger: Ledger) -> None:
    """Batches in any state that leads on keep it open."""
    one, two = running(ledger, batches=2)
    ledger.move_batch(one, B.WITHDRAWN)
    before = ledger.settle_ready("s-1")
    ledger.move_batch(two, B.WITHDRAWN)

    assert not before
    assert ledger.settle_ready("s-1")
