"""A simulated job goes only where Google's jobs go, and each move leaves its traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vertexq.errors import Refused
from vertexq.model import JobError
from vertexq.simulator.jobs import MOVES, SimulatedJob, Tally
from vertexq.states import JOB_TERMINAL, JobState

T0 = datetime(2026, 11, 21, tzinfo=UTC)
T1, T2, T3 = (T0 + timedelta(seconds=seconds) for seconds in (1, 2, 3))
NEW = SimulatedJob(
    number=1,
    id="1234567890123456789",
    project="123456789012",
    location="us-central1",
    display_name="b1",
    model="publishers/google/models/gemini-2.5-flash",
    input_uris=("gs://b/in.jsonl",),
    output_prefix="gs://b/out",
    created=T0,
    updated=T0,
)


def test_a_job_that_goes_well() -> None:
    """The start is the first time it ran, the end is when it finished."""
    running = NEW.moved(JobState.RUNNING, T1)
    paused = running.moved(JobState.UPDATING, T2).moved(JobState.RUNNING, T2)
    ended = paused.counted(Tally(successful=3), T2).moved(JobState.SUCCEEDED, T3)

    assert NEW.name == "projects/123456789012/locations/us-central1/batchPredictionJobs/1234567890123456789"
    assert (ended.started, ended.ended, ended.updated) == (T1, T3, T3)
    assert (running.finished, ended.finished, ended.tally) == (False, True, Tally(successful=3))


def test_a_job_that_fails_says_why() -> None:
    """The error stays with the job; it never ran, so it has no start."""
    failed = NEW.failed(JobError(code=9, message="no bucket"), T1)

    assert (failed.state, failed.error, failed.started) == (
        JobState.FAILED,
        JobError(code=9, message="no bucket"),
        None,
    )


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.QUEUED])
def test_a_job_that_waits_is_cancelled_at_once(state: JobState) -> None:
    """Nobody sees it CANCELLING."""
    job = NEW if state is JobState.PENDING else NEW.moved(state, T1)

    cancelled = job.cancel_asked(T2)

    assert (cancelled.state, cancelled.error, cancelled.ended) == (
        JobState.CANCELLED,
        JobError(code=1, message="CANCELED"),
        T2,
    )


def test_a_job_that_runs_is_cancelling_first() -> None:
    """It may still end in success; asking twice changes nothing."""
    cancelling = NEW.moved(JobState.RUNNING, T1).cancel_asked(T2)

    assert cancelling.state is JobState.CANCELLING
    assert cancelling.cancel_asked(T3) == cancelling
    assert cancelling.moved(JobState.SUCCEEDED, T3).error is None


def test_a_finished_job_is_not_cancelled() -> None:
    """Google answers 400 with the status of a precondition."""
    ended = NEW.moved(JobState.RUNNING, T1).moved(JobState.SUCCEEDED, T2)

    with pytest.raises(Refused, match="already in a terminal state") as refused:
        ended.cancel_asked(T3)

    assert (refused.value.status, refused.value.code) == (400, "FAILED_PRECONDITION")


@pytest.mark.parametrize("state", sorted(JOB_TERMINAL))
def test_nothing_follows_the_end(state: JobState) -> None:
    """No state follows a final one, and every other state has a way out."""
    assert state not in MOVES
    assert set(MOVES) == set(JobState) - JOB_TERMINAL - {JobState.UNSPECIFIED}


def test_an_impossible_move_is_a_bug_of_ours() -> None:
    """The simulator does not make up ways that Google does not know."""
    with pytest.raises(ValueError, match="does not go from JOB_STATE_PENDING"):
        NEW.moved(JobState.SUCCEEDED, T1)
