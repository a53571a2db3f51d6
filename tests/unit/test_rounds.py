"""Rounds: which rows are tried again, what their new batch knows, and what differs from Google's counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.test_status_of import BATCH, SUBMISSION
from vertexq import ranks
from vertexq.model import Batch, JobError, JobStats, Retry
from vertexq.results import Outcome
from vertexq.rounds import (
    Rest,
    asked_for,
    difference,
    has_rounds,
    job_may_pass,
    not_done,
    open_rows,
    rest_s,
)
from vertexq.states import BatchState, JobState, SubmissionState

OF = ranks.RANK_BYTE
FOUND = bytes(
    [
        OF[Outcome.SUCCEEDED],
        ranks.NOT_FOUND,
        ranks.RETRYABLE,
        OF[Outcome.FAILED],
        ranks.inherited(ranks.RETRYABLE),
        ranks.HANDED_OVER,
        OF[Outcome.BLOCKED],
        ranks.inherited(OF[Outcome.MISSING]),
    ]
)


def batch(found: bytes = FOUND, **changes: object) -> Batch:
    """Return an ingested batch whose job succeeded."""
    known = replace(
        BATCH,
        state=BatchState.INGESTED,
        job_state=JobState.SUCCEEDED,
        rows=len(found),
        found=ranks.pack(found),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def test_rows_without_an_answer_or_with_a_passing_error_are_open() -> None:
    """Its own or inherited; what was handed over, or named as missing, is not."""
    assert open_rows(batch(), most=2) == {1, 2, 4}
    assert open_rows(batch(round=1), most=2) == {1, 2, 4}
    assert open_rows(batch(round=2), most=2) == frozenset()


@pytest.mark.parametrize(
    ("state", "code", "may_pass"),
    [
        (JobState.SUCCEEDED, None, True),
        (JobState.PARTIALLY_SUCCEEDED, None, True),
        (JobState.EXPIRED, None, True),
        (JobState.CANCELLED, None, False),
        (JobState.FAILED, None, False),
        *((JobState.FAILED, code, True) for code in (4, 8, 10, 13, 14)),
        *((JobState.FAILED, code, False) for code in (3, 5, 7, 9)),
    ],
)
def test_a_job_decides_whether_its_rows_may_fare_better(
    state: JobState,
    code: int | None,
    may_pass: bool,  # noqa: FBT001
) -> None:
    """What somebody cancelled, and what is wrong with the job itself, would end in the same way."""
    error = None if code is None else JobError(code=code, message="why")

    assert job_may_pass(batch(job_state=state, job_error=error)) is may_pass


@pytest.mark.parametrize("state", sorted(set(BatchState) - {BatchState.INGESTED}))
def test_only_what_a_job_has_left_is_tried_again_by_itself(state: BatchState) -> None:
    """Not what was refused, lost, withdrawn or set aside."""
    assert open_rows(batch(state=state), most=2) == frozenset()


@pytest.mark.parametrize(
    ("outcomes", "rows"),
    [
        (["failed"], {2, 3, 4}),
        (["missing"], {1, 7}),
        (["blocked"], {6}),
        (["quarantined"], set[int]()),
        (["failed", "missing", "blocked"], {1, 2, 3, 4, 6, 7}),
    ],
)
def test_by_hand_the_outcome_decides(outcomes: list[str], rows: set[int]) -> None:
    """However the job ended, and however often the rows were tried."""
    cancelled = batch(job_state=JobState.CANCELLED, round=5)

    assert asked_for(cancelled, Retry(outcomes=tuple(outcomes))) == rows


@pytest.mark.parametrize(
    ("state", "may"),
    [
        (BatchState.INGESTED, True),
        (BatchState.REFUSED, True),
        (BatchState.WITHDRAWN, True),
        (BatchState.LOST, False),
        (BatchState.ASIDE, False),
        (BatchState.BOUND, False),
    ],
)
def test_by_hand_nothing_is_sent_that_may_be_running(
    state: BatchState,
    may: bool,  # noqa: FBT001
) -> None:
    """A lost job may run and be paid for; what the check set aside cannot be sent at all."""
    assert bool(asked_for(batch(state=state), Retry(outcomes=("failed",)))) is may


def test_a_hand_over_leaves_each_row_in_one_account() -> None:
    """The successor counts the failure until it has an answer that is as good."""
    rest = Rest(batch=batch(), rows=frozenset({1, 2, 4}))
    counted = ranks.counts(rest.left()) + ranks.counts(rest.inherited())

    assert counted == ranks.counts(FOUND)
    assert list(rest.inherited()) == [0, ranks.inherited(ranks.RETRYABLE), ranks.inherited(ranks.RETRYABLE)]
    assert ranks.is_better(OF[Outcome.FAILED], rest.inherited()[1])


def test_rounds_rest_twice_as_long_each_time() -> None:
    """300 s, 600 s, ... at most four hours, and half of it at least; with no wait none."""
    waits = [rest_s(done, first_s=300.0, longest_s=14_400.0, luck=0.999999) for done in (0, 1, 2, 9)]

    assert [round(wait) for wait in waits] == [300, 600, 1_200, 14_400]
    assert rest_s(0, first_s=300.0, longest_s=14_400.0, luck=0.0) == 150.0
    assert rest_s(3, first_s=0.0, longest_s=14_400.0, luck=0.5) == 0.0


@pytest.mark.parametrize(
    ("successful", "failed", "unread", "said"),
    [
        (6, 0, 0, "Google counts 6 answers, its output holds 4"),
        (3, 3, 1, "Google counts 6 answers, its output holds 4 and 1 line that matches none"),
        (3, 2, 1, ""),
        (2, 2, 0, ""),
        (2, 1, 0, "Google counts 3 answers, its output holds 4"),
        (2, None, 0, ""),
        (9, None, 0, "Google counts 9 answers, its output holds 4"),
        (None, None, 0, ""),
    ],
)
def test_a_difference_from_googles_counts_is_put_in_words(
    successful: int | None, failed: int | None, unread: int, said: str
) -> None:
    """Counters that are away say nothing; inherited rows are no answers of this job."""
    found = FOUND.replace(bytes([ranks.HANDED_OVER]), bytes([ranks.NOT_FOUND]))
    stats = JobStats(successful=successful, failed=failed)

    assert difference(batch(found, stats=stats, quarantined_lines=unread), found) == said


def test_what_was_said_of_a_difference_stays() -> None:
    """Once rows were handed over nobody can count them any more."""
    assert difference(batch(reason="said before", stats=JobStats(successful=99)), FOUND) == "said before"


def test_a_submission_that_stops_has_no_rounds() -> None:
    """Cancelled, or past its deadline."""
    now = SUBMISSION.created_at

    assert has_rounds(SUBMISSION, now)
    assert not has_rounds(replace(SUBMISSION, cancel_requested=True), now)
    assert not has_rounds(replace(SUBMISSION, state=SubmissionState.CANCELLING), now)
    assert not has_rounds(replace(SUBMISSION, deadline_at=now), now)
    assert "s-1 is running" in str(not_done(SUBMISSION))
