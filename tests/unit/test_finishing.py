"""Finishing online: which rows are left, when they are few, and what keeps them where they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.test_rounds import FOUND, batch
from tests.unit.test_status_of import SUBMISSION
from vertexq.finishing import answered_online, are_few, finishes_online, left_rows, nothing_else_runs
from vertexq.model import Counts, JobError, Submission, Terms
from vertexq.rounds import open_rows
from vertexq.states import BATCH_TERMINAL, BatchState, JobState, SubmissionState

LATE = datetime(2026, 11, 21, tzinfo=UTC)
ASKED = replace(SUBMISSION, terms=Terms(finish_online=10))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"terms": Terms()}, False),
        ({"cancel_requested": True}, False),
        ({"state": SubmissionState.CANCELLING}, False),
    ],
)
def test_it_is_asked_for_and_goes_on(changes: dict[str, object], wanted: bool) -> None:  # noqa: FBT001
    """Nothing is asked online of what is to stop."""
    known: Submission = replace(ASKED, **changes)  # type: ignore[arg-type]
    assert finishes_online(known) is wanted


def test_rows_are_left_however_many_rounds_there_were() -> None:
    """Open rows are; those that were online before are not."""
    assert left_rows(ASKED, batch(round=9)) == {1, 2, 4}
    assert left_rows(ASKED, batch(online=True)) == frozenset()
    assert open_rows(batch(online=True), most=2) == frozenset()


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"job_state": JobState.FAILED, "job_error": JobError(code=3, message="bad input")}, set[int]()),
        ({"job_state": JobState.FAILED, "job_error": JobError(code=14, message="later")}, {1, 2, 4}),
        ({"job_state": JobState.CANCELLED, "job_state_since": LATE}, {1, 2, 4}),
        ({"job_state": JobState.CANCELLED, "job_state_since": None}, set[int]()),
        ({"state": BatchState.WITHDRAWN}, {1, 2, 4}),
        ({"state": BatchState.LOST}, set[int]()),
        ({"state": BatchState.REFUSED}, set[int]()),
        ({"state": BatchState.ASIDE}, set[int]()),
    ],
)
def test_what_became_of_the_job_decides(changes: dict[str, object], left: set[int]) -> None:
    """What a deadline has stopped is left; what would fail again, or nobody knows of, is not."""
    late = replace(ASKED, deadline_at=LATE)
    assert left_rows(late, batch(FOUND, **changes)) == left


def test_few_is_fewer_than_was_said() -> None:
    """None are not few: there is nothing to do."""
    assert [are_few(rows, ASKED) for rows in (0, 1, 9, 10)] == [False, True, True, False]


def test_rows_are_counted_when_no_job_may_answer_any_more() -> None:
    """Online batches are no jobs."""
    assert nothing_else_runs([batch(), batch(state=BatchState.ONLINE, online=True)])
    assert not any(nothing_else_runs([batch(state=state)]) for state in set(BatchState) - BATCH_TERMINAL)


def test_answers_from_online_calls_are_counted() -> None:
    """Blocked ones are answers."""
    counts = Counts(succeeded=3, blocked=1, failed=2)
    assert answered_online([batch(counts=counts), batch(counts=counts, online=True)]) == 4
