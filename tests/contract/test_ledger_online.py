"""Batches whose rows are answered online: no slot, no place in the line, the same bounds on money."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.ledger_values import bound, held, new_batch, new_submission, running
from vertexq.ledger import Bounds, Held, HeldBy, Ledger, Record
from vertexq.model import Batch, Estimate
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S

PLACE = ("p", "europe-west4")
PREFIX = "gs://bucket/out/1"


def online(ledger: Ledger, *, cost_pusd: int | None = 5) -> Batch:
    """Return a batch that took over rows of another one, to be answered online."""
    bound(ledger, running(ledger)[0])
    new = replace(new_batch(1), online=True, estimate=Estimate(rows=2, cost_pusd=cost_pusd))
    claim = held(ledger, Record.SUBMISSION, "s-1")
    ledger.succeed([], new, claim=claim)
    ledger.release(claim)
    return ledger.batch(new.id)


def begun(ledger: Ledger, batch: Batch, bounds: Bounds) -> Batch | Held:
    """Let a worker begin with a batch."""
    claim = held(ledger, Record.BATCH, batch.id)
    answer = ledger.start_online(batch, claim=claim, output_prefix=PREFIX, bounds=bounds)
    ledger.release(claim)
    return answer


def test_it_is_due_at_once_and_says_so(ledger: Ledger) -> None:
    """The sweeper knows which step it waits for."""
    batch = online(ledger)
    due = {one.id: one.online for one in ledger.due(limit=10, resend_after_s=60.0)}

    assert due[batch.id] is True
    assert not any(wanted for name, wanted in due.items() if name != batch.id)


def test_it_has_no_place_in_the_line(ledger: Ledger) -> None:
    """It waits for no slot, and holds none up: a job may be sent beside it."""
    batch = online(ledger)
    handed = ledger.hand_out(*PLACE, bounds=Bounds(jobs=10), shares={})

    assert (handed, ledger.waiting_places()) == ([], [])
    assert [(one.jobs, one.waiting) for one in ledger.in_flight()] == [(1, 0)]
    assert isinstance(begun(ledger, batch, Bounds(jobs=1)), Batch)


def test_its_beginning_is_an_intent_that_counts(ledger: Ledger) -> None:
    """What it may cost counts from then on; it is no job."""
    before = ledger.spent_today("p")
    sent = begun(ledger, online(ledger), Bounds(jobs=1))
    today = ledger.now().replace(hour=0, minute=0, second=0, microsecond=0)

    assert isinstance(sent, Batch)
    assert (sent.state, sent.attempt, sent.output_prefix) == (B.ONLINE, 1, PREFIX)
    assert ledger.spent_today("p") - before == 5
    assert sum(one.jobs for one in ledger.spending(since=today)) == 1


def test_a_daily_cap_and_a_budget_hold_it(ledger: Ledger) -> None:
    """As they hold jobs; without a price a budget cannot be kept."""
    batch = online(ledger)
    capped = begun(ledger, batch, Bounds(jobs=1, daily_pusd=4))
    dear = begun(ledger, batch, Bounds(jobs=1, budget_pusd=4))

    assert isinstance(capped, Held)
    assert isinstance(dear, Held)
    assert (capped.by, dear.by) == (HeldBy.DAILY_CAP, HeldBy.BUDGET)
    assert ledger.batch(batch.id).state is B.READY


def test_it_goes_on_when_its_submission_does(ledger: Ledger) -> None:
    """What was parked is due at once, as no slot has to be waited for."""
    batch = online(ledger)
    ledger.update_batch(batch, next_action_at=None)
    ledger.move_submission(ledger.submission("s-1"), S.PARKED, reason="a person must decide")
    ledger.enqueue(new_submission(), [])

    assert ledger.batch(batch.id).next_action_at is not None
