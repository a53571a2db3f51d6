"""The simulator reads Google's list filters as the discovery document describes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertexq.errors import Refused
from vertexq.simulator.filters import Facts, job_filter

JOB = Facts(
    display_name="my_job_7",
    model_display_name="gemini-2.5-flash",
    state="JOB_STATE_SUCCEEDED",
    create_time=datetime(2026, 5, 18, 12, tzinfo=UTC),
    labels={"team": "red", "a key": "b", "empty": ""},
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        'display_name="my_job_7"',
        "display_name=my_job_7",
        "displayName = my_job_7",
        'display_name:"my_job_*"',
        'display_name:"job"',
        'display_name!="other"',
        'model_display_name="gemini-2.5-flash"',
        "model_display_name != gemini-2.5-pro",
        'state="JOB_STATE_SUCCEEDED" AND display_name:"my_job_*"',
        'state!="JOB_STATE_FAILED" OR display_name="my_job"',
        'NOT display_name="my_job"',
        'create_time>"2021-05-18T00:00:00Z"',
        "create_time>=2026-05-18T12:00:00Z",
        "create_time<=2026-05-18T14:00:00+02:00 AND create_time!=2026-05-18T12:00:00.000001Z",
        'create_time = "2026-05-18T12:00:00Z"',
        "create_time<2026-05-19T00:00:00Z",
        "labels.team=red",
        "labels.team:*",
        "labels.team:red",
        'labels."a key"=b',
        'labels."a key" : *',
        'labels.empty=""',
        "labels.team!=blue",
        "labels.none!=x",
        "(state=JOB_STATE_FAILED OR labels.team=red) AND NOT (display_name=x)",
        "labels.team=red display_name=my_job_7",
        "state=JOB_STATE_FAILED OR state=JOB_STATE_SUCCEEDED AND labels.team=red",
        "labels.team=red AND state=JOB_STATE_FAILED OR state=JOB_STATE_SUCCEEDED",
        "NOT NOT display_name=my_job_7",
    ],
)
def test_a_filter_takes_the_job(text: str) -> None:
    """Quoted and bare, in either spelling, joined and turned round."""
    assert job_filter(text)(JOB)


@pytest.mark.parametrize(
    "text",
    [
        'display_name="my_job"',
        'display_name="my_job_*"',
        'display_name:"MY_JOB"',
        'display_name:"[m]y_job_7"',
        'display_name:"my_job_?"',
        "state=JOB_STATE_FAILED",
        'create_time>"2026-05-18T12:00:00Z"',
        "labels.team=blue",
        "labels.none:*",
        "NOT labels.team=red",
        "labels.team=red AND labels.team=blue",
        "labels.team=blue AND state=JOB_STATE_FAILED OR state=JOB_STATE_SUCCEEDED",
        "(state=JOB_STATE_FAILED OR labels.team=red) AND display_name=x",
    ],
)
def test_a_filter_leaves_the_job_out(text: str) -> None:
    """Only a star stands for other letters; OR binds closer than AND (AIP-160)."""
    assert not job_filter(text)(JOB)


@pytest.mark.parametrize(
    "text",
    [
        "labels.none=",
        "display_name",
        "display_name=",
        "=x",
        "AND",
        "display_name=x AND",
        "(display_name=x",
        "display_name=x)",
        "colour=red",
        "state:JOB_STATE_FAILED",
        "create_time>yesterday",
        'create_time:"2026-05-18T12:00:00Z"',
        "display_name>x",
        "display_name==x",
        'display_name="x',
        "display_name x y",
        '"display_name"=x',
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    """The 400 names the filter."""
    with pytest.raises(Refused, match="List filter could not be parsed") as refused:
        job_filter(text)

    assert (refused.value.status, refused.value.code) == (400, "INVALID_ARGUMENT")
