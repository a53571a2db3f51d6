"""Every pair of states in a real ledger: allowed moves are made and written down, the others refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TypeVar

import pytest

from tests.contract.ledger_values import held, new_batch, new_submission, staging
from vertexq.ledger import Claim, Ledger, Record
from vertexq.model import Batch, Submission
from vertexq.states import BATCH_MOVES, SUBMISSION_MOVES, SUBMISSION_TERMINAL, may_follow
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S
from vertexq.testing.batches import enter_batches

State = TypeVar("State", bound=S | B)


def _ways(moves: dict[State, frozenset[State]], start: State) -> dict[State, list[State]]:
    """Return a shortest way from ``start`` to every state that can be reached."""
    ways: dict[State, list[State]] = {start: []}
    queue = [start]
    for state in queue:
        for then in sorted(moves[state] - ways.keys()):
            ways[then] = [*ways[state], then]
            queue.append(then)
    return ways


def _submission_in(ledger: Ledger, id: str, state: S) -> tuple[Submission, Claim]:  # noqa: A002
    ledger.enqueue(new_submission(id))
    claim = held(ledger, Record.SUBMISSION, id)
    submission = ledger.submission(id)
    for then in _ways(SUBMISSION_MOVES, S.QUEUED)[state]:
        submission = ledger.move_submission(submission, then, claim=claim)
    return submission, claim


def _batch_in(ledger: Ledger, batch: Batch, state: B) -> tuple[Batch, Claim]:
    claim = held(ledger, Record.BATCH, batch.id)
    batch = ledger.batch(batch.id)
    for then in _ways(BATCH_MOVES, B.READY)[state]:
        batch = ledger.move_batch(batch, then, claim=claim)
    return batch, claim


def test_every_move_of_a_submission_is_made_or_refused(ledger: Ledger) -> None:
    """Of the 100 pairs those in the table move and leave an audit line; the others change nothing."""
    for number, (now, then) in enumerate(itertools.product(S, S)):
        before, claim = _submission_in(ledger, f"s-{number}", now)
        lines = len(ledger.audit(Record.SUBMISSION, before.id))
        if may_follow(now, then):
            moved = ledger.move_submission(before, then, claim=claim, reason=f"why {number}")
            assert (moved.state, moved.version) == (then, before.version + 1)
            assert (moved.finished_at is not None) is (then in SUBMISSION_TERMINAL)
            line = ledger.audit(Record.SUBMISSION, before.id)[-1]
            assert (line.from_state, line.to_state, line.version) == (now, then, moved.version)
            assert (line.actor, line.reason) == ("worker-1", f"why {number}")
        else:
            with pytest.raises(ValueError, match=rf"{now}.*{then}"):
                ledger.move_submission(before, then, claim=claim)
            assert ledger.submission(before.id) == before
            assert len(ledger.audit(Record.SUBMISSION, before.id)) == lines


def test_every_move_of_a_batch_is_made_or_refused(ledger: Ledger) -> None:
    """Of all pairs those in the table move and leave an audit line; the others change nothing."""
    submission, staged_by = staging(ledger)
    pairs = [(now, then) for now, then in itertools.product(B, B) if now is not B.ASIDE]
    enter_batches(ledger, submission, [new_batch(number) for number in range(len(pairs))], claim=staged_by)
    for ready, (now, then) in zip(ledger.batches("s-1"), pairs, strict=True):
        before, claim = _batch_in(ledger, ready, now)
        lines = len(ledger.audit(Record.BATCH, before.id))
        if may_follow(now, then):
            moved = ledger.move_batch(before, then, claim=claim, reason="why")
            assert (moved.state, moved.version) == (then, before.version + 1)
            line = ledger.audit(Record.BATCH, before.id)[-1]
            assert (line.from_state, line.to_state, line.version) == (now, then, moved.version)
            assert (line.actor, line.reason) == ("worker-1", "why")
        else:
            with pytest.raises(ValueError, match=rf"{now}.*{then}"):
                ledger.move_batch(before, then, claim=claim)
            assert ledger.batch(before.id) == before
            assert len(ledger.audit(Record.BATCH, before.id)) == lines


def test_a_batch_of_rows_set_aside_enters_in_its_last_state(ledger: Ledger) -> None:
    """Such rows are never sent: nothing is due, and no move leads there or away."""
    submission, staged_by = staging(ledger)
    enter_batches(ledger, submission, [replace(new_batch(), state=B.ASIDE)], claim=staged_by)

    (aside,) = ledger.batches("s-1")
    assert (aside.state, aside.next_action_at) == (B.ASIDE, None)
    assert not any(may_follow(B.ASIDE, then) or may_follow(then, B.ASIDE) for then in B)


@pytest.mark.parametrize("state", list(S))
def test_a_cancel_is_understood_in_every_state(ledger: Ledger, state: S) -> None:
    """It is noted, or acted on, or has come too late; asking twice is asking once."""
    before, _ = _submission_in(ledger, "s-1", state)

    asked = ledger.request_cancel("s-1")
    again = ledger.request_cancel("s-1")

    if state in SUBMISSION_TERMINAL or state is S.CANCELLING:
        assert asked == before
    elif state in (
        S.STAGING,
        S.SETTLING,
    ):  # somebody is at work: only the flag, and no new version under them
        assert (asked.state, asked.version, asked.cancel_requested) == (state, before.version, True)
        assert asked.next_action_at == before.next_action_at
    else:
        assert (asked.state, asked.cancel_requested) == (S.CANCELLING, True)
        assert asked.next_action_at is not None
    assert (again.state, again.version) == (asked.state, asked.version)
