"""Strays in the ledger: known once, cancelled again until they have stopped, told by submission."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger_values import bound, running
from vertexq.ledger import Ledger
from vertexq.ledger.strays import GONE
from vertexq.model import Job
from vertexq.states import JobState

PLACE = ("p", "europe-west4")
JOB = Job(
    name="projects/1/locations/europe-west4/batchPredictionJobs/77",
    state=JobState.RUNNING,
    state_text="JOB_STATE_RUNNING",
)


def noted(ledger: Ledger, job: Job = JOB) -> str:
    """Take a submission to where a second job has turned up; return the batch's id."""
    batch = bound(ledger, running(ledger)[0])
    assert ledger.note_stray(batch.id, job, actor="worker-1")
    return batch.id


def test_a_stray_is_written_down_once(ledger: Ledger) -> None:
    """Whoever sees it again changes nothing."""
    batch_id = noted(ledger)

    assert not ledger.note_stray(batch_id, replace(JOB, state_text="JOB_STATE_PENDING"))
    (stray,) = ledger.strays("s-1")
    assert (stray.job_name, stray.batch_id, stray.job_state) == (JOB.name, batch_id, "JOB_STATE_RUNNING")
    assert (stray.cancelled_at, stray.stopped) == (None, False)


def test_a_running_stray_is_to_be_cancelled_again_when_it_has_been_quiet(ledger: Ledger) -> None:
    """Right after a cancel it is left alone; later it comes again, until Google says that it stopped."""
    noted(ledger)
    assert [stray.job_name for stray in ledger.running_strays(*PLACE, quiet_s=60)] == [JOB.name]

    ledger.mark_stray(JOB.name, "JOB_STATE_CANCELLING", cancelled=True)

    assert ledger.running_strays(*PLACE, quiet_s=60) == []
    assert ledger.stray_places(quiet_s=60) == []
    assert len(ledger.running_strays(*PLACE, quiet_s=0)) == 1
    assert ledger.stray_places(quiet_s=0) == [PLACE]


@pytest.mark.parametrize("state", ["JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED", GONE])
def test_a_stray_that_stopped_costs_no_more_calls(ledger: Ledger, state: str) -> None:
    """Ended at Google or not known there any more: nothing is left to do, and it can still be read."""
    noted(ledger)

    ledger.mark_stray(JOB.name, state, cancelled=False)

    assert ledger.stray_places(quiet_s=0) == []
    assert [stray.stopped for stray in ledger.strays("s-1")] == [True]


def test_strays_are_told_by_submission_and_place(ledger: Ledger) -> None:
    """Another submission and another location have none."""
    noted(ledger)
    running(ledger, "s-2")

    assert ledger.strays("s-2") == []
    assert ledger.running_strays("p", "us-central1", quiet_s=0) == []
