"""The tables of states: what may follow what, and that every state has a way on or is an end."""

from __future__ import annotations

import itertools

import pytest

from vertexq.states import (
    BATCH_ACTIVE,
    BATCH_MOVES,
    BATCH_TERMINAL,
    SUBMISSION_MOVES,
    SUBMISSION_RESTING,
    SUBMISSION_TERMINAL,
    JobState,
    job_state,
    may_follow,
)
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S


@pytest.mark.parametrize(("now", "then"), list(itertools.product(S, S)))
def test_a_submission_moves_only_as_its_table_says(now: S, then: S) -> None:
    """Every pair of states is decided by the table."""
    assert may_follow(now, then) is (then in SUBMISSION_MOVES[now])


@pytest.mark.parametrize(("now", "then"), list(itertools.product(B, B)))
def test_a_batch_moves_only_as_its_table_says(now: B, then: B) -> None:
    """Every pair of states is decided by the table."""
    assert may_follow(now, then) is (then in BATCH_MOVES[now])


def test_every_state_is_in_its_table() -> None:
    """A state that was forgotten would be a ``KeyError`` in a worker."""
    assert set(SUBMISSION_MOVES) == set(S)
    assert set(BATCH_MOVES) == set(B)


def test_nothing_but_settling_follows_the_end_of_a_submission() -> None:
    """Unless its rows are tried again: then it settles once more. A parked one rests and can go on."""
    ends = {state for state, then in SUBMISSION_MOVES.items() if then <= {S.SETTLING}}
    assert ends == SUBMISSION_TERMINAL
    assert {S.PARKED} == SUBMISSION_RESTING - SUBMISSION_TERMINAL


def test_nothing_moves_to_where_it_is() -> None:
    """A move to the same state would be an update in disguise."""
    assert not any(may_follow(state, state) for state in [*S, *B])


def test_no_paid_call_follows_another_without_a_look() -> None:
    """Only a ready batch is sent; what is being sent is ready again only by way of ambiguous or refused."""
    assert {state for state in B if may_follow(state, B.SENDING)} == {B.READY}
    assert {state for state in B if may_follow(state, B.READY)} == {B.AMBIGUOUS, B.REFUSED}


def test_every_submission_can_come_to_an_end() -> None:
    """From every state some way leads to a terminal one."""
    assert all(_reachable(state) & SUBMISSION_TERMINAL for state in S)


def _reachable(start: S) -> set[S]:
    found, new = {start}, {start}
    while new:
        new = {then for state in new for then in SUBMISSION_MOVES[state]} - found
        found |= new
    return found


def test_what_holds_a_slot_has_not_ended() -> None:
    """A slot is held exactly from the intent to send until the job's end is known."""
    assert not BATCH_ACTIVE & BATCH_TERMINAL
    assert {B.SENDING, B.AMBIGUOUS, B.BOUND} == BATCH_ACTIVE


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("JOB_STATE_SUCCEEDED", JobState.SUCCEEDED),
        ("JOB_STATE_PARTIALLY_SUCCEEDED", JobState.PARTIALLY_SUCCEEDED),
        (None, JobState.UNSPECIFIED),
        ("", JobState.UNSPECIFIED),
        ("JOB_STATE_INVENTED", None),
        (4, None),
    ],
)
def test_googles_word_for_a_state_is_read_with_care(said: object, state: JobState | None) -> None:
    """An absent state means unspecified; a word we do not know is None, never an error."""
    assert job_state(said) is state
