"""Listing simulated jobs: pages, filters, masks, and jobs that are slow to appear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.simulated_jobs import JOBS, Desk, body, desk, keyed
from vertexq.simulator.behaviour import Behaviour


@pytest.fixture
async def five() -> AsyncIterator[Desk]:
    """Give a simulator with five finished jobs, ``b0`` to ``b4``."""
    async with desk(rows=keyed(1)) as made:
        for number in range(5):
            job = await made.create(displayName=f"b{number}", labels={"vertexq": f"b{number}", "even": "yes"})
            await made.ended(job["name"])
        yield made


async def listed(five: Desk, **params: str) -> tuple[list[str], str]:
    """Return the display names on a page, and the token of the next."""
    status, page = await five.call("GET", JOBS, params=params)
    assert status == 200, page
    return [job["displayName"] for job in page.get("batchPredictionJobs", [])], page.get("nextPageToken", "")


async def test_pages_hold_newest_jobs_first_and_end(five: Desk) -> None:
    """Two, two and one; the last page has no token."""
    first, token = await listed(five, pageSize="2")
    second, next_token = await listed(five, pageSize="2", pageToken=token)

    assert (first, second) == (["b4", "b3"], ["b2", "b1"])
    assert await listed(five, pageSize="2", pageToken=next_token) == (["b0"], "")


async def test_a_job_created_between_two_pages_repeats_and_hides_nothing(five: Desk) -> None:
    """A token is a place among the jobs, not a number of jobs to leave out."""
    first, token = await listed(five, pageSize="3")
    await five.create(displayName="late")

    second, _ = await listed(five, pageSize="3", pageToken=token)

    assert first + second == ["b4", "b3", "b2", "b1", "b0"]


async def test_an_empty_list_is_an_empty_object(five: Desk) -> None:
    """Without a job to show the key is left out, as in all JSON of protocol buffers."""
    assert await five.call("GET", JOBS, params={"filter": 'display_name="nobody"'}) == (200, {})
    other = JOBS.replace("us-central1", "europe-west4")
    assert await five.call("GET", other) == (200, {})


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ('display_name="b1"', ["b1"]),
        ("labels.vertexq=b3", ["b3"]),
        ('labels."vertexq":* AND NOT display_name:"b*"', []),
        ('(display_name="b1" OR display_name="b2") AND state="JOB_STATE_SUCCEEDED"', ["b2", "b1"]),
        ('create_time>"2999-01-01T00:00:00Z"', []),
    ],
)
async def test_a_filter_picks_jobs(five: Desk, wanted: str, names: list[str]) -> None:
    """The grammar itself has tests of its own; here it is on the wire."""
    assert await listed(five, filter=wanted) == (names, "")


@pytest.mark.parametrize(
    "params",
    [{"filter": "colour=red"}, {"filter": "display_name="}, {"pageToken": "%%"}, {"pageSize": "x"}],
)
async def test_a_list_that_cannot_be_read_is_refused(five: Desk, params: dict[str, str]) -> None:
    """Google says 400."""
    status, answer = await five.call("GET", JOBS, params=params)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "params",
    [
        {"readMask": "name,completion_stats.successful_count"},
        {"fields": "batchPredictionJobs(name,completionStats/successfulCount)"},
    ],
)
async def test_masks_cut_jobs_down(five: Desk, params: dict[str, Any]) -> None:
    """Google's two kinds of mask give the same here."""
    _, page = await five.call("GET", JOBS, params=params)

    for job in page["batchPredictionJobs"]:
        assert job == {"name": job["name"], "completionStats": {"successfulCount": "1"}}


async def test_a_new_job_may_be_listed_late_and_found_late(five: Desk) -> None:
    """With a lag a job is accepted, and for a while neither a list nor a get knows it."""
    five.simulator.behaviours.set(Behaviour(list_lag_s=30, get_lag_s=30), match="shy")

    job = await five.create(displayName="shy")

    assert await listed(five, filter='display_name="shy"') == ([], "")
    status, _ = await five.call("GET", f"/v1/{job['name']}")
    assert status == 404
    five.simulator.behaviours.clear()
    assert await listed(five, filter='display_name="shy"') == (["shy"], "")


async def test_the_number_of_jobs_on_a_page_has_a_limit(five: Desk) -> None:
    """A page holds 100 jobs, however many are asked for."""
    for _ in range(100):
        await five.call("POST", JOBS, json=body())

    names, token = await listed(five, pageSize="1000")

    assert len(names) == 100
    assert token
