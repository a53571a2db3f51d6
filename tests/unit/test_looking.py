"""Which jobs are a batch's, which of them is kept, and since when a job is in its state."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vertexq.model import Batch, Job
from vertexq.states import BatchState, JobState
from vertexq.steps.looking import is_of, keep_first, works_here
from vertexq.steps.reconcile import look_wait_s, settle_left_s
from vertexq.steps.sightings import state_since
from vertexq.steps.table_names import stem

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FOLDER = "gs://bucket/run/one/00000"
_SAID: dict[str, Any] = {
    "id": "b-1",
    "state": BatchState.BOUND,
    "manifest_uri": f"{FOLDER}/manifest.jsonl",
    "input_uri": "gs://theirs/rows.jsonl",
    "attempt": 1,
    "looks": 0,
    "sent_at": NOON,
    "job_name": "projects/1/locations/l/batchPredictionJobs/1",
    "job_state": "JOB_STATE_RUNNING",
    "job_state_since": NOON,
}
_VALUES: dict[str, Any] = {field.name: "" for field in fields(Batch)} | _SAID
BATCH = Batch(**_VALUES)
JOB = Job(
    name=BATCH.job_name,
    state=JobState.RUNNING,
    state_text="JOB_STATE_RUNNING",
    labels={"vertexq": "b-1"},
    display_name="b-1",
    output_prefix=f"{FOLDER}/a1-xyz",
    create_time=NOON,
)


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"labels": {}}, True),
        ({"display_name": "renamed"}, True),
        ({"labels": {}, "display_name": "b-10"}, False),
        ({"output_prefix": "gs://other/place/out"}, True),
        ({"output_prefix": "gs://other/one/00000/a1-abcdefgh"}, False),
        ({"output_prefix": "gs://bucket/one/00000/a12-abcdefgh/"}, False),
        ({"output_prefix": "gs://other/one/00000/a1-abc", "input_uris": (f"{FOLDER}/input.jsonl",)}, True),
        ({"output_prefix": "gs://other/one/000001/a1-abcdefgh"}, True),
        ({"output_prefix": f"bq://p.d.{stem('b-1', FOLDER + '/')}_a1_abc"}, True),
        ({"output_prefix": f"bq://p.d.{stem('b-1', 'gs://other/one/00000/')}_a1_abc"}, False),
        ({"output_prefix": f"bq://p.d.{stem('b-10', 'gs://other/one/00000/')}_a1_abc"}, True),
        ({"output_prefix": ""}, True),
    ],
)
def test_a_job_with_a_batchs_id_is_ours_unless_another_ledger_waits_for_it(
    changes: dict[str, Any],
    ours: bool,  # noqa: FBT001
) -> None:
    """An attempt's folder of the same submission below another staging prefix is another ledger's."""
    assert is_of(replace(JOB, **changes), BATCH) is ours


def test_only_a_job_that_works_in_the_folder_can_be_kept() -> None:
    """A folder that begins alike is another folder; reading there is enough."""
    elsewhere = replace(JOB, output_prefix="gs://bucket/run/one/000001/a1")

    assert works_here(JOB, BATCH)
    assert not works_here(elsewhere, BATCH)
    assert works_here(replace(elsewhere, input_uris=(f"{FOLDER}/input.jsonl",)), BATCH)


def test_the_oldest_job_that_has_not_failed_is_kept() -> None:
    """Age decides, but not for a job that will never answer; a job listed twice is one."""
    failed = replace(JOB, name="x/1", state=JobState.FAILED)
    older = replace(JOB, name="x/2", create_time=NOON + timedelta(seconds=1))
    newer = replace(JOB, name="x/3", create_time=NOON + timedelta(seconds=2))
    ageless = replace(JOB, name="x/4", create_time=None)

    kept = keep_first([ageless, newer, failed, older, newer])

    assert [job.job_id for job in kept] == ["2", "3", "4", "1"]


@pytest.mark.parametrize(
    ("looks", "left_s", "wait_s"),
    [(1, 900.0, 2.0), (2, 890.0, 4.0), (6, 700.0, 60.0), (40, 700.0, 60.0), (9, 12.5, 12.5), (1, -5.0, 2.0)],
)
def test_looks_are_frequent_at_first_and_one_is_made_at_the_end(
    looks: int, left_s: float, wait_s: float
) -> None:
    """2, 4, 8, … 60 s, and never past the end of the settle time, when a look decides."""
    assert look_wait_s(looks, left_s, settle_time_s=900.0) == wait_s


def test_the_settle_time_begins_when_the_intent_was_written() -> None:
    """900 s, less what has passed since."""
    assert settle_left_s(BATCH, NOON + timedelta(seconds=120), settle_time_s=900.0) == 780.0


@pytest.mark.parametrize(
    ("changes", "since_s"),
    [
        ({"start_time": NOON - timedelta(seconds=50)}, -50),
        ({"state": JobState.PENDING, "state_text": "JOB_STATE_PENDING"}, 0),
        ({"state": JobState.QUEUED, "create_time": NOON - timedelta(seconds=9)}, -9),
        ({"state": JobState.PAUSED, "state_text": "JOB_STATE_PAUSED"}, 3600),
        ({"create_time": None}, 0),
        ({"name": "x/2"}, 3600),
    ],
)
def test_since_when_a_job_is_in_its_state_comes_from_google_where_it_can(
    changes: dict[str, Any], since_s: float
) -> None:
    """Waiting since it was created, running since it first ran, anything else since we saw it."""
    now = NOON + timedelta(seconds=3600)

    assert state_since(BATCH, replace(JOB, **changes), now) == NOON + timedelta(seconds=since_s)
