"""Whose turn it is: shares of tenants, priorities, turns of submissions, and a line that never storms."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import pytest

from tests.contract.ledger_values import new_submission
from tests.contract.racing import at_once
from tests.contract.waiting_line import LOCATION, PROJECT, Line
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.ledger.queue import PIPELINE, STUCK_ATTEMPTS
from vertexq.states import SubmissionState


@pytest.fixture
def line(ledger: Ledger, ledger_url: str) -> Line:
    """Return an empty line."""
    return Line(ledger, ledger_url)


def test_a_small_submission_does_not_wait_behind_two_thousand(line: Line) -> None:
    """With four slots, all taken by team A, the next two free ones go to team B and to A's urgent one."""
    line.join("a", tenant="team-a", times=2000, each=3)
    taken = line.send(slots=4)
    line.join("b", tenant="team-b")
    line.join("urgent", tenant="team-a", priority=5)
    for batch in taken[:2]:
        line.end(batch)

    assert {batch.submission_id for batch in taken} == {"a", "a-1", "a-2", "a-3"}
    assert line.next(slots=4) == ["b", "urgent"]


def test_tenants_share_the_slots_by_weight(line: Line) -> None:
    """Of eight slots a team of weight three holds six, one of weight one holds two."""
    line.join("a", tenant="team-a", times=20)
    line.join("b", tenant="team-b", times=20)

    sent = line.send(slots=8, shares={"team-b": 3.0})

    assert Counter(batch.submission_id[0] for batch in sent) == {"b": 6, "a": 2}


def test_with_fewer_slots_than_tenants_nobody_starves(line: Line) -> None:
    """One slot goes round by weight: what a tenant has had lately counts, not only what it has now."""
    for tenant in "abc":
        line.join(tenant, tenant=tenant, times=20)
    order: list[str] = []
    for _ in range(20):
        (batch,) = line.send(slots=1, shares={"a": 3.0})
        line.end(batch)
        order.append(batch.submission_id[0])

    had = Counter(order)
    assert had["a"] > 2 * had["b"]
    assert min(had.values()) >= 3


def test_the_higher_priority_goes_first_within_a_tenant(line: Line) -> None:
    """From 9 down to -9, however long the others have waited."""
    for priority in (-9, 0, 9):
        line.join(f"p{priority}", tenant="t", priority=priority)

    assert line.next(slots=8) == ["p9", "p0", "p-9"]


def test_submissions_of_one_priority_take_turns(line: Line) -> None:
    """A submission of three batches does not wait for one of thirty, nor the other way round."""
    line.join("big", tenant="t", each=30)
    first = line.send(slots=2)
    line.join("small", tenant="t", each=3)
    for batch in first:
        line.end(batch)

    assert [batch.submission_id for batch in first] == ["big", "big"]
    assert line.next(slots=4) == ["big", "small", "big", "small"]


def test_no_more_is_handed_out_than_there_are_free_slots(line: Line) -> None:
    """What was handed out counts like a job until it is sent."""
    line.join("a", tenant="t", times=9)

    assert len(line.next(slots=4)) == 4
    assert line.next(slots=4) == []


def test_the_pipeline_stays_small(line: Line) -> None:
    """However many slots are free, few batches are handed out at a time; the next when half are sent."""
    line.join("a", tenant="t", times=100)

    assert len(line.next(slots=1000)) == PIPELINE
    assert line.next(slots=1000) == []


def test_dispatchers_at_once_do_no_harm(line: Line, ledger: Ledger, ledger_url: str) -> None:
    """Eight of them hand out four batches for four slots, each once."""
    line.join("a", tenant="t", times=40)
    ledgers = [Ledger.open(ledger_url) for _ in range(8)]

    def hand_out(number: int) -> list[str]:
        return ledgers[number].hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=4), shares={})

    given = [one for ids in at_once(8, hand_out) for one in ids]
    for one in ledgers:
        one.close()

    assert len(given) == len(set(given)) == 4


@pytest.mark.parametrize("state", [SubmissionState.PARKED, SubmissionState.CANCELLING])
def test_only_running_submissions_have_a_turn(line: Line, ledger: Ledger, state: SubmissionState) -> None:
    """What is parked or being cancelled is passed over; the next in line goes."""
    line.join("a", tenant="t")
    line.join("b", tenant="t")
    ledger.move_submission(ledger.submission("a"), state)

    assert line.next(slots=4) == ["b"]


def test_a_submission_past_its_deadline_has_no_turn(line: Line, ledger: Ledger) -> None:
    """What is about to be withdrawn is not sent."""
    line.join("a", tenant="t")
    ledger.update_submission(ledger.submission("a"), deadline_at=ledger.now())

    assert line.next(slots=4) == []


def test_rows_in_flight_stop_the_line_where_they_would_be_exceeded(line: Line, ledger: Ledger) -> None:
    """Batches of two rows against a bound of five: two go; one that is larger than the bound goes alone."""
    line.join("a", tenant="t", times=5)

    first = ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=9, rows=5), shares={})

    assert len(first) == 2
    assert ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=9, rows=5), shares={}) == []


def test_a_batch_larger_than_the_bound_goes_alone(line: Line, ledger: Ledger) -> None:
    """Otherwise it would wait for ever, and everything behind it."""
    line.join("a", tenant="t", times=5)

    assert len(ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=9, tokens=0, rows=1), shares={})) == 1


def test_what_was_due_before_there_was_a_line_still_goes(line: Line, ledger: Ledger) -> None:
    """A ready batch that is due already is in flight: the sweeper sends its hint, nobody hands it out."""
    line.join("a", tenant="t", times=3)
    ledger.hasten(Record.BATCH, "b-a-0")

    assert line.next(slots=1) == []
    assert [due.id for due in ledger.due(limit=10, resend_after_s=60.0) if due.record is Record.BATCH] == [
        "b-a-0"
    ]


def test_batches_that_cannot_be_sent_do_not_keep_others_waiting(line: Line, ledger: Ledger) -> None:
    """Creates of one model are throttled for hours: its batches wait, and those of another model are sent."""
    line.join("throttled", tenant="t", times=PIPELINE)
    handed_out = ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=PIPELINE), shares={})
    line.join("other", tenant="t")
    assert line.next(slots=PIPELINE) == []

    for batch_id in handed_out:
        batch, later = ledger.batch(batch_id), ledger.now() + timedelta(minutes=5)
        ledger.update_batch(batch, attempts=STUCK_ATTEMPTS, next_action_at=later)

    assert line.next(slots=PIPELINE) == ["other"]


def test_a_batch_that_is_handed_out_again_counts_again(line: Line, ledger: Ledger) -> None:
    """After an outage thousands of batches have failed often; they still come a few at a time."""
    line.join("a", tenant="t", times=3 * PIPELINE)
    for number in range(3 * PIPELINE):
        batch = ledger.batch("b-a-0" if number == 0 else f"b-a-{number}-0")
        ledger.update_batch(batch, attempts=STUCK_ATTEMPTS, next_action_at=None)

    assert len(line.next(slots=10 * PIPELINE)) == PIPELINE
    assert line.next(slots=10 * PIPELINE) == []


def test_places_with_a_line_are_known(line: Line, ledger: Ledger) -> None:
    """The sweeper asks only where somebody waits."""
    assert ledger.waiting_places() == []
    ledger.enqueue(new_submission("other"))
    line.join("a", tenant="t", times=3)
    assert ledger.waiting_places() == [(PROJECT, LOCATION)]

    line.next(slots=3)
    assert ledger.waiting_places() == []


def test_a_long_line_costs_little(line: Line, ledger: Ledger) -> None:
    """20,000 waiting batches: a turn takes a moment, and next to nothing when no slot is free."""
    line.join("a", tenant="team-a", times=4_000, each=5)
    ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=4), shares={})

    began_s = time.monotonic()
    assert ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=4), shares={}) == []
    idle_s = time.monotonic() - began_s
    given = ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=8), shares={})
    busy_s = time.monotonic() - began_s - idle_s

    assert len(given) == 4
    assert idle_s < 1.0
    assert busy_s < 2.0
