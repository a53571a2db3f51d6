"""Claims: one worker at a time holds a record, and one that lost its lease can do no harm."""

from __future__ import annotations

from datetime import timedelta
from multiprocessing.pool import Pool

import pytest

from tests.contract.ledger_values import (
    LONG_S,
    RUN_OUT_S,
    B,
    S,
    held,
    new_batch,
    new_submission,
    output_range,
    running,
    staging,
)
from tests.contract.racing import at_once
from vertexq.errors import Conflict, LeaseLost
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.testing.batches import enter_batches


def test_a_held_record_cannot_be_claimed(ledger: Ledger) -> None:
    """While a lease lives nobody else gets one, not even its own holder."""
    ledger.enqueue(new_submission())
    held(ledger, Record.SUBMISSION, "s-1")

    assert ledger.claim(Record.SUBMISSION, "s-1", owner="worker-2", lease_s=LONG_S) is None
    assert ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=LONG_S) is None


def test_what_is_not_there_cannot_be_claimed(ledger: Ledger) -> None:
    """A hint for a submission that was rolled back finds nothing to do."""
    assert ledger.claim(Record.SUBMISSION, "s-9", owner="worker-1", lease_s=LONG_S) is None


def test_a_released_record_is_free_and_its_token_goes_up(ledger: Ledger) -> None:
    """Every claim has a higher fencing token than all before it."""
    ledger.enqueue(new_submission())
    first = held(ledger, Record.SUBMISSION, "s-1")
    ledger.release(first)

    second = held(ledger, Record.SUBMISSION, "s-1", owner="worker-2")

    assert second.fence == first.fence + 1
    assert ledger.submission("s-1").fence == second.fence


def test_of_eight_threads_one_gets_the_lease(ledger: Ledger) -> None:
    """Racing workers of one process never hold the same record."""
    ledger.enqueue(new_submission())

    claims = at_once(
        8, lambda number: ledger.claim(Record.SUBMISSION, "s-1", owner=f"w{number}", lease_s=LONG_S)
    )

    assert sum(claim is not None for claim in claims) == 1


def test_of_eight_processes_one_gets_the_lease(ledger: Ledger, ledger_url: str, processes: Pool) -> None:
    """Racing workers of several processes never hold the same record."""
    ledger.enqueue(new_submission())

    won = processes.map(_claims, [(ledger_url, number) for number in range(8)], chunksize=1)

    assert sum(won) == 1


def _claims(given: tuple[str, int]) -> bool:
    url, number = given
    ledger = Ledger.open(url)
    claim = ledger.claim(Record.SUBMISSION, "s-1", owner=f"worker-{number}", lease_s=LONG_S)
    ledger.close()
    return claim is not None


def test_a_heartbeat_keeps_the_lease(ledger: Ledger) -> None:
    """A lease that is renewed in time cannot be taken over."""
    ledger.enqueue(new_submission())
    claim = ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=20)
    assert claim is not None

    ledger.renew(claim, lease_s=LONG_S)
    ledger.renew(claim, lease_s=LONG_S)

    assert ledger.claim(Record.SUBMISSION, "s-1", owner="worker-2", lease_s=LONG_S) is None


def test_a_lease_that_ran_out_cannot_be_renewed(ledger: Ledger) -> None:
    """A worker that slept too long has lost, even when nobody has taken over yet."""
    ledger.enqueue(new_submission())
    claim = ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=RUN_OUT_S)
    assert claim is not None

    with pytest.raises(LeaseLost, match="s-1"):
        ledger.renew(claim, lease_s=LONG_S)


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_is_fenced_off(ledger: Ledger) -> None:
    """The old holder can neither move, nor change, nor renew, nor release the record."""
    ledger.enqueue(new_submission())
    old = ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=RUN_OUT_S)
    new = held(ledger, Record.SUBMISSION, "s-1", owner="worker-2")
    seen = ledger.submission("s-1")
    assert old is not None

    with pytest.raises(LeaseLost, match=r"s-1.*worker-2"):
        ledger.move_submission(seen, S.STAGING, claim=old)
    with pytest.raises(LeaseLost):
        ledger.update_submission(seen, claim=old, attempts=7)
    with pytest.raises(LeaseLost):
        ledger.renew(old, lease_s=LONG_S)
    ledger.release(old)

    ledger.renew(new, lease_s=LONG_S)
    assert ledger.submission("s-1") == seen


def test_a_lost_lease_stops_every_write_to_a_batch(ledger: Ledger) -> None:
    """Sending, pinning and finishing all look at the token."""
    (batch,) = running(ledger)
    old = ledger.claim(Record.BATCH, batch.id, owner="worker-1", lease_s=RUN_OUT_S)
    held(ledger, Record.BATCH, batch.id, owner="worker-2")
    assert old is not None

    with pytest.raises(LeaseLost):
        ledger.start_sending(batch, claim=old, output_prefix="gs://b/o", bounds=Bounds(jobs=1))
    with pytest.raises(LeaseLost):
        ledger.pin_ranges(batch, [output_range(batch)], claim=old)
    with pytest.raises(LeaseLost):
        ledger.finish_range(batch, output_range(batch), claim=old, quarantined_lines=1)

    assert ledger.ranges(batch.id) == []
    assert ledger.batch(batch.id).state is B.READY


def test_a_lost_lease_enters_no_batches(ledger: Ledger) -> None:
    """A worker that was overtaken while it uploaded leaves no batch behind."""
    ledger.enqueue(new_submission(), [b"rows"])
    old = ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=RUN_OUT_S)
    assert old is not None
    submission = ledger.move_submission(ledger.submission("s-1"), S.STAGING, claim=old)
    held(ledger, Record.SUBMISSION, "s-1", owner="worker-2")

    with pytest.raises(LeaseLost):
        ledger.add_batch(submission, new_batch(), claim=old)

    assert ledger.batches("s-1") == []
    assert list(ledger.spool("s-1")) == [b"rows"]


def test_the_holder_of_a_submission_may_move_its_batches_until_it_is_overtaken(ledger: Ledger) -> None:
    """A claim guards writes to other records than its own as well."""
    one, two = running(ledger, batches=2)
    old = ledger.claim(Record.SUBMISSION, "s-1", owner="worker-1", lease_s=RUN_OUT_S)
    assert old is not None
    ledger.move_batch(one, B.WITHDRAWN, claim=old)
    held(ledger, Record.SUBMISSION, "s-1", owner="worker-2")

    with pytest.raises(LeaseLost):
        ledger.move_batch(two, B.WITHDRAWN, claim=old)

    assert [batch.state for batch in ledger.batches("s-1")] == [B.WITHDRAWN, B.READY]


def test_batches_enter_once_even_when_staging_ran_twice(ledger: Ledger) -> None:
    """A second worker that staged the same rows finds that the submission has moved on."""
    submission, claim = staging(ledger)
    enter_batches(ledger, submission, [new_batch()], claim=claim)

    with pytest.raises(Conflict):
        ledger.add_batch(submission, new_batch(), claim=claim)

    assert len(ledger.batches("s-1")) == 1


def test_the_clock_is_the_databases(ledger: Ledger) -> None:
    """Instants are in UTC, have a zone, and go forward."""
    first, second = ledger.now(), ledger.now()

    assert first.utcoffset() == timedelta(0)
    assert first <= second
