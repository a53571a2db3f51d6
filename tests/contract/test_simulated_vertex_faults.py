"""Creates that go wrong in every way a network knows, and the oracle that knows what was accepted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.contract.simulated_jobs import JOBS, SLOW, Desk, body, desk, keyed, state_of
from vertexq.simulator.faults import Action, Fault

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


@pytest.fixture
async def calm() -> AsyncIterator[Desk]:
    """Give a simulator with two prompts and nothing to do wrong yet."""
    async with desk(rows=keyed(2)) as made:
        yield made


def names(calm: Desk) -> list[str]:
    """Return the display names of the accepted creates."""
    return [create.display_name for create in calm.simulator.accepted]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=0.05),
    ],
)
async def test_an_accepted_create_may_go_without_an_answer(calm: Desk, fault: Fault) -> None:
    """The caller sees a connection that closes; the job is there and runs."""
    calm.simulator.faults.add(fault)

    with pytest.raises(aiohttp.ClientConnectionError):
        await calm.create()

    assert names(calm) == ["b1"]
    assert state_of(await calm.ended(calm.simulator.accepted[0].name)) == "SUCCEEDED"


async def test_a_caller_with_a_deadline_gives_up_on_an_accepted_create(calm: Desk) -> None:
    """The job exists before the answer stalls."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=60))

    with pytest.raises(TimeoutError):
        await calm.http.post(JOBS, json=body(), timeout=aiohttp.ClientTimeout(total=0.2))

    assert names(calm) == ["b1"]


async def test_an_accepted_create_may_be_answered_with_an_error(calm: Desk) -> None:
    """A 503 says nothing about whether there is a job."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=503))

    status, answer = await calm.call("POST", JOBS, json=body())

    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")
    assert names(calm) == ["b1"]


async def test_a_create_may_be_accepted_after_the_caller_lost_it(calm: Desk) -> None:
    """At the moment of the drop there is no job; a little later there is."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_LATE, delay_s=0.2))

    with pytest.raises(aiohttp.ClientConnectionError):
        await calm.create()

    assert names(calm) == []
    while not names(calm):
        await calm.call("GET", JOBS)
    assert names(calm) == ["b1"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(method=CREATE, action=Action.GARBLE), "{"),
        (Fault(method=CREATE, action=Action.OTHER, note="truncated"), '{"name":"projects/'),
        (Fault(method=CREATE, action=Action.OTHER, note="html"), "<!DOCTYPE html>"),
        (Fault(method=CREATE, action=Action.OTHER, note="empty-name"), '{"name": ""}'),
    ],
)
async def test_a_yes_may_be_unreadable(calm: Desk, fault: Fault, said: str) -> None:
    """The status is 200 and the job is there; the body is of no use."""
    calm.simulator.faults.add(fault)

    async with calm.http.post(JOBS, json=body()) as answer:
        text = await answer.text()

    assert answer.status == 200
    assert text.startswith(said)
    assert names(calm) == ["b1"]
    if fault.note != "empty-name":
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_create_may_be_refused_without_effect(calm: Desk, status: int) -> None:
    """The envelope is Google's, and nothing was accepted."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=status))

    found, answer = await calm.call("POST", JOBS, json=body())

    assert (found, answer["error"]["code"]) == (status, status)
    assert names(calm) == []


async def test_a_storm_of_429_passes(calm: Desk) -> None:
    """Two creates are told when to come again, one in a header and one in a detail; the third is accepted."""
    storm = Fault(method=CREATE, action=Action.REFUSE, status=429, retry_after_s=2)
    detailed = Fault(method=CREATE, action=Action.REFUSE, status=429, retry_after_s=17, note="retry-info")
    calm.simulator.faults.add(storm, detailed)

    async with calm.http.post(JOBS, json=body()) as first:
        pass
    _, second = await calm.call("POST", JOBS, json=body())

    assert first.headers["Retry-After"] == "2"
    details = {detail["@type"].rpartition(".")[2]: detail for detail in second["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "17s"
    assert "violations" in details["QuotaFailure"]
    await calm.create()
    assert names(calm) == ["b1"]


async def test_a_proxy_may_answer_with_a_page(calm: Desk) -> None:
    """A 502 whose body is HTML."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=502, note="html"))

    async with calm.http.post(JOBS, json=body()) as answer:
        assert answer.status == 502
        assert answer.content_type == "text/html"


async def test_a_fault_may_be_for_one_display_name(calm: Desk) -> None:
    """It waits for the job it is meant for."""
    calm.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, match="second"))

    await calm.create(displayName="first")
    status, _ = await calm.call("POST", JOBS, json=body(displayName="second"))

    assert status == 503
    assert names(calm) == ["first"]


async def test_faults_of_cloud_storage_do_not_reach_the_jobs(calm: Desk) -> None:
    """A job reads and writes as Google does inside; faults are for callers, and so is the log."""
    calm.simulator.faults.add(Fault(method="storage.*", action=Action.REFUSE, times=None))

    job = await calm.ran()

    assert state_of(job) == "SUCCEEDED"
    assert calm.simulator.faults.log("storage.*")[1:] == []


async def test_the_oracle_is_on_the_disk_before_the_answer(tmp_path: Path) -> None:
    """Each accepted create is a line of ``creates.jsonl``, and the route tells the same."""
    async with desk(rows=keyed(1), data_dir=tmp_path) as calm:
        job = await calm.create(labels={"vertexq": "b1"})

        lines = (tmp_path / "creates.jsonl").read_text().splitlines()
        async with calm.http.get("/_simulator/creates") as answer:
            told = await answer.json()

    assert [json.loads(line) for line in lines] == told
    assert told[0]["name"] == job["name"]
    assert told[0]["labels"] == {"vertexq": "b1"}
    assert len(told[0]["body_digest"]) == 64


async def test_jobs_and_the_oracle_outlive_a_restart(tmp_path: Path) -> None:
    """A finished job is still finished, a deleted one is gone, an unfinished one begins again and ends."""
    async with desk(rows=keyed(100), data_dir=tmp_path) as first:
        done, deleted = await first.ran(displayName="done"), await first.ran(displayName="deleted")
        _, begun = await first.call("DELETE", f"/v1/{deleted['name']}")
        while not (await first.call("GET", f"/v1/{begun['name']}"))[1].get("done"):
            pass
    async with desk(data_dir=tmp_path, timing=SLOW) as second:
        running = await second.create(displayName="running")
        await second.when(running["name"], lambda job: state_of(job) == "RUNNING")

    async with desk(data_dir=tmp_path) as third:
        assert await third.get(done["name"]) == done
        assert (await third.call("GET", f"/v1/{deleted['name']}"))[0] == 404
        assert state_of(await third.ended(running["name"])) == "SUCCEEDED"
        assert names(third) == ["done", "deleted", "running"]
        assert (await third.create())["name"] not in {done["name"], deleted["name"], running["name"]}


async def test_a_line_torn_by_a_crash_is_cut_off(tmp_path: Path) -> None:
    """A create whose line was not whole had no answer; those before and after it are kept."""
    async with desk(rows=keyed(1), data_dir=tmp_path) as first:
        await first.create(displayName="before")
    with (tmp_path / "creates.jsonl").open("ab") as file:
        file.write(b'{"name": "projects/')
    async with desk(data_dir=tmp_path) as second:
        await second.create(displayName="after")

    async with desk(data_dir=tmp_path) as third:
        assert names(third) == ["before", "after"]
