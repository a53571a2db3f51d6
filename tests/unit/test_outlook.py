"""The outlook: a job near one of Google's own ends is seen coming, and said once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.test_status_of import BATCH, NOW, SUBMISSION
from vertexq.model import Batch
from vertexq.outlook import new_warnings, warnings
from vertexq.states import BatchState, JobState
from vertexq.status import status_of

PAUSED = "look at it in Google's console, or cancel the submission"
UNKNOWN = "a state that this version does not know; it is waited for"


def _since(state: str, hours: float) -> Batch:
    return replace(BATCH, job_state=state, job_state_since=NOW - timedelta(hours=hours))


@pytest.mark.parametrize(
    ("state", "hours", "said"),
    [
        (JobState.QUEUED, 59.9, ""),
        (JobState.QUEUED, 61, "job 2 has waited in Google's queue for 61 h and expires in 11 h"),
        (JobState.PENDING, 71.5, "job 2 has waited in Google's queue for 72 h and expires within the hour"),
        (JobState.PENDING, 80, "job 2 has waited in Google's queue for 80 h and expires any moment"),
        (JobState.RUNNING, 19.9, ""),
        (JobState.RUNNING, 21, "job 2 has run for 21 h; what it has not finished is cancelled in 3 h"),
        (JobState.CANCELLING, 99, ""),
        (JobState.PAUSED, 0.9, ""),
        (JobState.PAUSED, 2, f"job 2 has been paused for 2 h and does not go on by itself; {PAUSED}"),
        ("JOB_STATE_CONTEMPLATING", 0.9, ""),
        ("JOB_STATE_CONTEMPLATING", 99, f"job 2 has been JOB_STATE_CONTEMPLATING for 99 h, {UNKNOWN}"),
        ("", 99, ""),
    ],
)
def test_a_job_near_googles_own_end_is_seen_coming(state: str, hours: float, said: str) -> None:
    """72 hours in the queue and 24 of running are the most; one is told 12 and 4 hours before.

    What leads nowhere by itself is told after an hour.
    """
    assert warnings(_since(state, hours), NOW) == ([said] if said else [])


def test_what_has_ended_needs_no_warning() -> None:
    """Only jobs that are waited for count, however old the last look is."""
    assert warnings(replace(_since(JobState.RUNNING, 99), state=BatchState.INGESTED), NOW) == []
    assert warnings(replace(BATCH, job_state_since=None), NOW) == []


def test_a_warning_is_new_once_for_each_state() -> None:
    """At the look at which its time has come, not at those after it; again when the next state takes long."""
    early = replace(_since(JobState.QUEUED, 59), updated_at=NOW)
    late, later = (replace(early, updated_at=NOW + timedelta(hours=hours)) for hours in (2, 3))
    running = replace(later, job_state=JobState.RUNNING, job_state_since=later.updated_at)
    long = replace(running, updated_at=later.updated_at + timedelta(hours=21))

    assert len(new_warnings(early, late)) == 1
    assert new_warnings(late, later) == []
    assert new_warnings(later, running) == []
    assert len(new_warnings(running, long)) == 1


def test_status_shows_it() -> None:
    """Everybody who asks sees the warning, as long as it holds."""
    batch = _since(JobState.RUNNING, 23)

    assert status_of(SUBMISSION, [batch], now=NOW).warnings == tuple(warnings(batch, NOW))
    assert status_of(SUBMISSION, [batch]).warnings == ()
