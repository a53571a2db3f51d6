"""How a submission stands: put together from the ledger's records, and how fast it goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vertexq.model import (
    Batch,
    Counts,
    Estimate,
    JobStats,
    OnDeadline,
    Policy,
    SourceKind,
    Submission,
    Terms,
    Usage,
)
from vertexq.states import BatchState, JobState, SubmissionState
from vertexq.status import Pace, status_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SUBMISSION = Submission(
    id="s-1",
    state=SubmissionState.RUNNING,
    version=3,
    fingerprint="f",
    model="gemini-2.5-flash",
    store="results",
    source_kind=SourceKind.SPOOL,
    source="",
    family="gemini",
    parameters={},
    destination="",
    key_field="key",
    project="p",
    location="l",
    labels={},
    tenant="",
    template="",
    policy=Policy(),
    terms=Terms(),
    on_complete="",
    retry=None,
    estimate=None,
    deadline_at=None,
    rounds=0,
    rows=300,
    counts=Counts(),
    quarantined_lines=0,
    usage=Usage(),
    cost_pusd=0,
    reason="",
    cancel_requested=False,
    created_at=NOW,
    updated_at=NOW,
    finished_at=None,
    next_action_at=None,
    attempts=0,
    fence=0,
)
BATCH = Batch(
    id="b-1-0",
    submission_id="s-1",
    ordinal=0,
    state=BatchState.BOUND,
    version=1,
    model="gemini-2.5-flash",
    family="gemini",
    tenant="",
    priority=0,
    project="p",
    location="l",
    rows=100,
    estimate=None,
    input_uri="gs://b/in",
    input_generation=1,
    input_bytes=1,
    manifest_uri="gs://b/manifest",
    attempt=1,
    output_prefix="gs://b/out",
    sent_at=NOW,
    looks=0,
    job_name="projects/1/locations/l/batchPredictionJobs/2",
    job_state=JobState.RUNNING,
    job_state_since=NOW,
    job_error=None,
    output_directory="",
    stats=JobStats(successful=40, failed=2),
    counts=Counts(),
    quarantined_lines=0,
    usage=Usage(),
    cost_pusd=0,
    found=b"",
    successor="",
    round=0,
    repeats=False,
    online=False,
    carried=b"",
    priced_as="",
    reason="",
    labels={},
    created_at=NOW,
    updated_at=NOW,
    next_action_at=NOW,
    attempts=0,
    fence=0,
)
INGESTED = replace(
    BATCH,
    id="b-1-1",
    state=BatchState.INGESTED,
    job_state=JobState.SUCCEEDED,
    stats=JobStats(successful=1, failed=99),
    counts=Counts(succeeded=95, failed=5),
    usage=Usage(prompt_tokens=1_000, total_tokens=1_500),
    cost_pusd=2_000_000_000,
)


def test_while_it_runs_the_numbers_are_those_of_its_batches() -> None:
    """Landed rows come from our counts, answered ones from Google's counters until a batch is ingested."""
    status = status_of(SUBMISSION, [BATCH, INGESTED])

    assert (status.sent_rows, status.answered_rows, status.landed_rows) == (300, 142, 100)
    assert (status.counts.succeeded, status.usage.total_tokens, status.cost_usd) == (95, 1_500, 0.002)
    assert status.batches_by_state == {"bound": 1, "ingested": 1}
    assert status.job_states == {"JOB_STATE_RUNNING": 1, "JOB_STATE_SUCCEEDED": 1}


@pytest.mark.parametrize("state", [SubmissionState.DONE, SubmissionState.CANCELLED, SubmissionState.FAILED])
def test_once_it_has_ended_the_numbers_are_its_own(state: SubmissionState) -> None:
    """Settling accounts for rows that no batch has counted: those that are missing."""
    ended = replace(SUBMISSION, state=state, counts=Counts(succeeded=298, missing=2), finished_at=NOW)

    status = status_of(ended, [INGESTED])

    assert (status.landed_rows, status.counts.missing, status.ended, status.resting) == (300, 2, True, True)


def test_before_its_rows_are_counted_a_submission_has_sent_nothing() -> None:
    """A gs:// source is counted when it is staged."""
    status = status_of(replace(SUBMISSION, state=SubmissionState.QUEUED, rows=None), [])

    assert (status.sent_rows, status.answered_rows, status.batches) == (0, 0, 0)
    assert not status.resting


def test_a_parked_submission_rests_but_has_not_ended() -> None:
    """Somebody must decide; nothing happens by itself."""
    status = status_of(replace(SUBMISSION, state=SubmissionState.PARKED, reason="no permission"), [])

    assert (status.resting, status.ended, status.reason) == (True, False, "no permission")


def test_answered_is_never_below_landed() -> None:
    """Google's counters may lag behind what has been read from its files."""
    behind = replace(BATCH, stats=JobStats(), counts=Counts(succeeded=60))

    assert status_of(SUBMISSION, [behind]).answered_rows == 60


@pytest.mark.parametrize(
    ("counts", "answered"),
    [
        (Counts(succeeded=300), True),
        (Counts(succeeded=298, blocked=2), True),
        (Counts(succeeded=299, failed=1), False),
        (Counts(succeeded=299, missing=1), False),
        (Counts(succeeded=299, quarantined=1), False),
    ],
)
def test_all_rows_are_answered_when_none_failed_or_is_gone(counts: Counts, *, answered: bool) -> None:
    """A block is the model's answer; it decides the exit code of the command line."""
    done = replace(SUBMISSION, state=SubmissionState.DONE, counts=counts)

    assert status_of(done, []).all_answered is answered
    assert not status_of(replace(done, state=SubmissionState.CANCELLED), []).all_answered


def test_the_json_object_has_the_names_that_scripts_rely_on() -> None:
    """``rows`` holds what was sent and a count for each outcome."""
    found = status_of(SUBMISSION, [BATCH, INGESTED]).to_json()

    assert found["rows"] == {
        "sent": 300,
        "answered": 142,
        "succeeded": 95,
        "blocked": 0,
        "failed": 5,
        "quarantined": 0,
        "missing": 0,
    }
    assert (found["id"], found["state"], found["batches"], found["cost_usd"]) == ("s-1", "running", 2, 0.002)
    assert (found["created_at"], found["finished_at"]) == ("2026-11-21T12:00:00+00:00", None)


def test_what_was_asked_and_estimated_is_shown() -> None:
    """Terms, tenant, estimate, rows that were set aside, and strays; all of it under names of its own."""
    estimate = Estimate(rows=300, input_tokens=9, output_tokens=8, assumed_rows=1, cost_pusd=10**12)
    terms = Terms(priority=3, budget_pusd=2 * 10**12, deadline_s=60, on_deadline=OnDeadline.RERUN)
    asked = replace(SUBMISSION, terms=terms, tenant="search", estimate=estimate, deadline_at=NOW)
    aside = replace(BATCH, state=BatchState.ASIDE, rows=4, job_state="")

    found = status_of(asked, [BATCH, aside], strays=2).to_json()

    assert found["estimate"] == {
        "rows": 300, "input_tokens": 9, "output_tokens": 8, "assumed_rows": 1, "cost_usd": 1.0,
    }  # fmt: skip
    assert (found["budget_usd"], found["priority"], found["tenant"]) == (2.0, 3, "search")
    assert (found["deadline_at"], found["on_deadline"]) == ("2026-11-21T12:00:00+00:00", "rerun")
    assert (found["set_aside_rows"], found["strays"]) == (4, 2)


def test_jobs_near_googles_ends_are_warned_of() -> None:
    """Only when the caller says what time it is."""
    late = replace(BATCH, job_state_since=NOW - timedelta(hours=22))

    assert status_of(SUBMISSION, [late]).warnings == ()
    (warning,) = status_of(SUBMISSION, [late, INGESTED], now=NOW).to_json()["warnings"]
    assert "has run for 22 h" in warning


@pytest.mark.parametrize(
    ("estimated_pusd", "usage", "cost_usd"),
    [
        (None, Usage(), None),  # it would have no price
        (5, Usage(), 0.0),  # nothing is answered yet
        (None, Usage(total_tokens=9), 0.0),  # a price of nothing, given after it was estimated
        (5, Usage(total_tokens=9, unpriced_tokens=9), None),
    ],
)
def test_a_cost_that_is_not_known_is_no_number(
    estimated_pusd: int | None, usage: Usage, cost_usd: float | None
) -> None:
    """Null in JSON, a sentence for people, and never 0."""
    asked = replace(SUBMISSION, estimate=Estimate(rows=1, cost_pusd=estimated_pusd))

    status = status_of(asked, [replace(BATCH, usage=usage)])

    assert status.cost_usd == status.to_json()["cost_usd"] == cost_usd
    assert ("no price for gemini-2.5-flash" in status.cost) is (cost_usd is None)


def pace(*looks: tuple[float, int]) -> Pace:
    """Return the pace after some looks."""
    made = Pace()
    for at_s, rows in looks:
        made.look(at_s, rows)
    return made


def test_a_pace_is_rows_over_seconds() -> None:
    """From the first look that is kept to the last."""
    steady = pace((0, 0), (5, 100), (10, 400))

    assert (steady.rows_per_s(), steady.remaining_s(80)) == (40.0, 2.0)


@pytest.mark.parametrize("looks", [[], [(0, 5)], [(0, 5), (1, 5)], [(0, 5), (0, 9)], [(0, 5), (1, 3)]])
def test_without_movement_there_is_no_pace(looks: list[tuple[float, int]]) -> None:
    """No look, one look, a standstill, no time between, or a count that went back."""
    still = pace(*looks)

    assert (still.rows_per_s(), still.remaining_s(10)) == (0.0, None)


def test_only_the_last_looks_count() -> None:
    """A job that waited an hour in Google's queue is not slow for ever."""
    waited = pace(*[(float(second), 0) for second in range(3_600)], *[(3_600 + i, 10 * i) for i in range(21)])

    assert waited.rows_per_s() == 10.0


def test_what_keeps_a_job_from_being_made_is_said() -> None:
    """An outage leaves a submission running; why nothing is sent comes before why nothing is read."""
    later = NOW + timedelta(seconds=1)
    waiting = [
        replace(BATCH, state=BatchState.READY, reason="no connection", updated_at=NOW),
        replace(BATCH, state=BatchState.AMBIGUOUS, reason="no clear answer", updated_at=later),
        replace(BATCH, state=BatchState.BOUND, reason="store away", updated_at=later + timedelta(seconds=1)),
    ]
    done = replace(SUBMISSION, state=SubmissionState.DONE)

    assert status_of(SUBMISSION, waiting).reason == "no clear answer"
    assert status_of(replace(SUBMISSION, reason="parked for it"), waiting).reason == "parked for it"
    assert status_of(SUBMISSION, waiting[2:]).reason == "store away"
    assert status_of(done, waiting).reason == ""


def test_a_round_says_what_it_is_about() -> None:
    """While it rests until when, then that it runs; its rows and answers are counted."""
    first = replace(BATCH, state=BatchState.INGESTED, successor="b-1-1")
    ready = replace(BATCH, id="b-1-1", state=BatchState.READY, ordinal=1, round=1, rows=7)
    rests = replace(ready, attempts=-1, next_action_at=NOW)
    runs = replace(ready, state=BatchState.BOUND, counts=Counts(succeeded=3))

    resting, running = (status_of(SUBMISSION, [first, one]) for one in (rests, runs))

    assert resting.reason == "7 rows rest until 2026-11-21 12:00:00 UTC and are then tried again"
    assert running.reason == "7 rows are tried again"
    assert [one.resting_until for one in (*resting.rounds, *running.rounds)] == [NOW, None]
    assert (running.rounds[0].open_rows, running.rounds[0].answered_rows) == (7, 3)


def test_a_difference_names_its_batch() -> None:
    """Only what is said of output that was read: a refusal has a reason, too, and is none."""
    said = "Google counts 9 answers, its output holds 8"
    read = replace(BATCH, state=BatchState.INGESTED, reason=said)
    refused = replace(BATCH, id="b-1-1", state=BatchState.REFUSED, reason="no rights")

    assert status_of(SUBMISSION, [read, refused]).differences == (f"{BATCH.id}: {said}",)
