"""Deadlines and successors in the ledger: who is late is found once, and nobody has two successors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from tests.contract.ledger_values import LONG_S, held, new_batch, new_submission, running
from vertexq import ranks
from vertexq.errors import Conflict
from vertexq.ledger import Ledger, Record
from vertexq.ledger.engine import open_engine
from vertexq.ledger.values import BatchFields
from vertexq.model import Counts, Terms
from vertexq.states import BatchState, SubmissionState

RESEND_S = 60.0


def _late(ledger: Ledger, name: str, *, by_s: float = 1.0) -> None:
    at = ledger.now() - timedelta(seconds=by_s)
    ledger.update_submission(ledger.submission(name), deadline_at=at)


def _found(ledger: Ledger, *, limit: int = 10, resend_after_s: float = RESEND_S) -> list[str]:
    return [one.id for one in ledger.past_deadline(limit=limit, resend_after_s=resend_after_s)]


def test_what_is_late_is_found_once_within_the_resend_time(ledger: Ledger) -> None:
    """A hint is sent, and again when nothing came of it."""
    running(ledger, "late")
    running(ledger, "early")
    running(ledger, "never")
    _late(ledger, "late")
    _late(ledger, "early", by_s=-LONG_S)

    assert _found(ledger) == ["late"]
    assert _found(ledger) == []
    _until_later(ledger)
    assert _found(ledger, resend_after_s=0.0) == ["late"]


def _until_later(ledger: Ledger) -> None:
    """Ask for the clock until it has gone on."""
    start = ledger.now()
    while ledger.now() - start < timedelta(milliseconds=5):
        pass


@pytest.mark.parametrize(
    ("state", "found"), [(SubmissionState.PARKED, ["s-1"]), (SubmissionState.CANCELLING, [])]
)
def test_parked_submissions_may_be_late_and_stopping_ones_not(
    ledger: Ledger, state: SubmissionState, found: list[str]
) -> None:
    """What is being cancelled ends anyway."""
    running(ledger)
    _late(ledger, "s-1")
    ledger.move_submission(ledger.submission("s-1"), state)

    assert _found(ledger) == found


def test_what_is_not_staged_yet_has_to_be_first(ledger: Ledger) -> None:
    """Its rows have no place in which they could be accounted for."""
    ledger.enqueue(new_submission())
    _late(ledger, "s-1")

    assert _found(ledger) == []


def test_many_late_ones_are_found_in_turn(ledger: Ledger) -> None:
    """Those that wait for a person do not keep the others from being found."""
    for number in range(6):
        running(ledger, f"s-{number}")
        _late(ledger, f"s-{number}")

    assert sorted(_found(ledger, limit=4) + _found(ledger, limit=4)) == [f"s-{n}" for n in range(6)]


def test_a_successor_enters_together_with_the_notes_of_who_took_over(ledger: Ledger) -> None:
    """It is ready, waits for its turn, counts what it inherited, and its audit trail begins."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.SUBMISSION, "s-1")
    inherited = bytes([ranks.inherited(ranks.RETRYABLE), ranks.NOT_FOUND])
    new = replace(new_batch(1), round=1, found=ranks.pack(inherited))

    ledger.succeed([(batch, BatchFields(counts=Counts(succeeded=1)))], new, claim=claim)

    first, second = ledger.batches("s-1")
    assert (first.successor, first.counts) == (second.id, Counts(succeeded=1))
    assert (second.state, second.round, second.next_action_at) == (BatchState.READY, 1, None)
    assert second.counts == Counts(failed=1)
    assert [line.to_state for line in ledger.audit(Record.BATCH, second.id)] == [BatchState.READY]


def test_who_comes_second_hands_nothing_over(ledger: Ledger) -> None:
    """Whether it read before or after."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.SUBMISSION, "s-1")
    ledger.succeed([(batch, BatchFields())], new_batch(1), claim=claim)

    with pytest.raises(Conflict):
        ledger.succeed([(batch, BatchFields())], new_batch(2), claim=claim)
    with pytest.raises(Conflict):
        ledger.succeed([(ledger.batch(batch.id), BatchFields())], new_batch(1), claim=claim)
    assert len(ledger.batches("s-1")) == 2


def test_only_open_deadlines_are_in_the_index(ledger: Ledger, ledger_url: str) -> None:
    """What has ended, or has no deadline, costs a sweep nothing."""
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        indexes = inspect(connection).get_indexes("vertexq_submissions")
    engine.dispose()

    where = f"{engine.dialect.name}_where"
    (found,) = [one for one in indexes if one["name"] == "vertexq_submissions_deadline"]
    assert "finished_at IS NULL" in str(found.get("dialect_options", {}).get(where, ""))


def test_new_terms_count_a_deadline_from_now(ledger: Ledger) -> None:
    """Unless the old one has passed and jobs are being stopped for it: then they are for the next round."""
    running(ledger, "early")
    running(ledger, "late")
    _late(ledger, "late")

    for name in ("early", "late"):
        ledger.enqueue(replace(new_submission(name), terms=Terms(deadline_s=LONG_S)))

    now = ledger.now()
    assert (ledger.submission("early").deadline_at or now) > now
    assert (ledger.submission("late").deadline_at or now) < now
    assert ledger.submission("late").terms.deadline_s == LONG_S


def test_what_was_parked_before_anything_began_has_its_whole_time_again(ledger: Ledger) -> None:
    """Somebody had to mend something first; nothing was sent meanwhile."""
    new = replace(new_submission(), terms=Terms(deadline_s=LONG_S))
    ledger.enqueue(new)
    _late(ledger, "s-1")
    ledger.move_submission(ledger.submission("s-1"), SubmissionState.PARKED)

    again, _ = ledger.enqueue(new)

    assert again.state is SubmissionState.QUEUED
    assert again.deadline_at is not None
    assert again.deadline_at > ledger.now()
