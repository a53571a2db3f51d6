"""Output ranges and batches: pinned once, finished once, and accounted for in the same transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger_values import (
    LONG_S,
    RUN_OUT_S,
    B,
    S,
    bound,
    held,
    new_batch,
    output_range,
    running,
    staging,
)
from vertexq.errors import Conflict, LeaseLost
from vertexq.ledger import Claim, Ledger, OutputRange, Record
from vertexq.model import Batch, Counts
from vertexq.testing.batches import enter_batches


def _ended(ledger: Ledger) -> tuple[Batch, Claim]:
    (ready,) = running(ledger)
    batch = ledger.move_batch(bound(ledger, ready), B.ENDED)
    return batch, held(ledger, Record.BATCH, batch.id)


def test_entered_batches_are_ready_and_due(ledger: Ledger) -> None:
    """The submission runs, knows its rows, and needs its spool no more."""
    submission, claim = staging(ledger)

    now_running = enter_batches(ledger, submission, [new_batch(1), new_batch(0)], claim=claim)

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

    enter_batches(ledger, submission, [new_batch(number) for number in range(5_000)], claim=claim)

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


def test_each_worker_takes_another_range(ledger: Ledger) -> None:
    """A range is held by one; early ones come first, and the others only when those are done."""
    batch, claim = _ended(ledger)
    early = replace(output_range(batch, "incremental_predictions/1.jsonl"), early=True)
    late = [output_range(batch, start=start) for start in (0, 1_000)]
    ledger.pin_ranges(batch, [*late, early], claim=claim)

    first, first_range = _taken(ledger, batch)
    assert first_range == early
    assert ledger.take_range(batch.id, owner="other", lease_s=LONG_S) is None

    batch = ledger.finish_range(batch, early, claim=first, counts=Counts(succeeded=1))
    assert [_taken(ledger, batch)[1] for _ in late] == late
    assert ledger.take_range(batch.id, owner="other", lease_s=LONG_S) is None
    assert ledger.free_ranges(batch.id) == 0


def test_a_range_whose_worker_died_is_taken_by_the_next(ledger: Ledger) -> None:
    """The first one's token is stale from then on, also for the account."""
    batch, claim = _ended(ledger)
    (part,) = ledger.pin_ranges(batch, [output_range(batch)], claim=claim)
    dead = ledger.take_range(batch.id, owner="dead", lease_s=RUN_OUT_S)
    assert dead is not None
    live, _ = _taken(ledger, batch)

    assert live.fence == dead[0].fence + 1
    with pytest.raises(LeaseLost):
        ledger.finish_range(batch, part, claim=dead[0], counts=Counts(succeeded=2))
    ledger.renew(live, lease_s=LONG_S)
    ledger.release(live)
    assert _taken(ledger, batch)[0].fence == live.fence + 1


def test_the_last_range_moves_the_batch_once(ledger: Ledger) -> None:
    """Both workers count in their own transaction; exactly one finds that none is open."""
    batch, claim = _ended(ledger)
    parts = [output_range(batch, start=start) for start in (0, 1_000)]
    ledger.pin_ranges(batch, parts, claim=claim)
    one, two = _taken(ledger, batch), _taken(ledger, batch)

    after_one = ledger.finish_range(batch, one[1], claim=one[0], settles=True, counts=Counts(succeeded=1))
    with pytest.raises(Conflict):
        ledger.finish_range(batch, two[1], claim=two[0], settles=True, counts=Counts(succeeded=1))
    last = ledger.finish_range(after_one, two[1], claim=two[0], settles=True, counts=Counts(succeeded=2))

    assert (after_one.state, last.state) == (B.ENDED, B.INGESTED)
    assert [line.to_state for line in ledger.audit(Record.BATCH, batch.id)].count("ingested") == 1


def test_a_job_that_was_not_listed_to_the_end_is_not_done(ledger: Ledger) -> None:
    """Early ranges alone never end a batch; they do when they are all there is."""
    batch, claim = _ended(ledger)
    parts = [replace(output_range(batch, f"{n}.jsonl"), early=True) for n in range(2)]
    ledger.pin_ranges(batch, parts, claim=claim)
    first, part = _taken(ledger, batch)
    batch = ledger.finish_range(batch, part, claim=first, settles=True, counts=Counts(succeeded=1))
    assert batch.state is B.ENDED

    ledger.make_final(batch, claim=claim)
    second, part = _taken(ledger, batch)
    done = ledger.finish_range(batch, part, claim=second, settles=True, counts=Counts(succeeded=2))

    assert done.state is B.INGESTED


def test_exports_that_nobody_began_are_dropped(ledger: Ledger) -> None:
    """One that was begun stays: rows of it may be in the store."""
    batch, claim = _ended(ledger)
    parts = [replace(output_range(batch, f"{n}.jsonl"), early=True) for n in range(3)]
    ledger.pin_ranges(batch, parts, claim=claim)
    _, begun = _taken(ledger, batch)

    assert ledger.drop_early(batch, claim=claim) == 2
    assert ledger.ranges(batch.id) == [begun]


def test_a_range_that_failed_rests(ledger: Ledger) -> None:
    """It is taken again when its time has come, and its failures are known."""
    batch, claim = _ended(ledger)
    ledger.pin_ranges(batch, [output_range(batch)], claim=claim)
    first, part = _taken(ledger, batch)
    ledger.put_off_range(part, claim=first, wait_s=LONG_S, attempts=3)
    ledger.release(first)
    assert ledger.take_range(batch.id, owner="other", lease_s=LONG_S) is None

    ledger.put_off_range(part, claim=first, wait_s=0.0, attempts=4)
    _taken(ledger, batch)

    assert ledger.failures(part) == 4


def test_one_at_a_time_sees_after_an_ended_batch(ledger: Ledger) -> None:
    """The turn comes again when the time is over, or earlier when somebody asks for it."""
    batch, _ = _ended(ledger)

    assert ledger.take_turn(batch.id, again_s=LONG_S)
    assert not ledger.take_turn(batch.id, again_s=LONG_S)
    ledger.see_again(batch.id, wait_s=0.0)
    assert ledger.take_turn(batch.id, again_s=LONG_S)
    ledger.see_again(batch.id, wait_s=2 * LONG_S)
    assert not ledger.take_turn(batch.id, again_s=LONG_S)


def _taken(ledger: Ledger, batch: Batch) -> tuple[Claim, OutputRange]:
    taken = ledger.take_range(batch.id, owner="worker-1", lease_s=LONG_S)
    assert taken is not None
    return taken
