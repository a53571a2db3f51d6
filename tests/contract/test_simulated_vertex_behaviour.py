"""What simulated jobs can be told to do: rows that fail, odd output, odd states, and how they are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.contract.simulated_jobs import SLOW, Desk, desk, keyed, prompt, state_of
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.timing import Timing
from vertexq.states import JobState


@pytest.fixture
async def many() -> AsyncIterator[Desk]:
    """Give a simulator with 200 prompts."""
    async with desk(rows=keyed(200), seed=7) as made:
        yield made


async def test_answers_are_decided_by_the_seed_and_the_row() -> None:
    """Two simulators with one seed say the same; another seed says something else."""
    said: list[dict[str, str]] = []
    for seed in (1, 1, 2):
        async with desk(rows=keyed(20), seed=seed) as made:
            rows = await made.rows_of_run()
            said.append({row["key"]: row["response"]["candidates"][0]["content"] for row in rows})

    assert said[0] == said[1] != said[2]


async def test_the_order_of_rows_is_not_kept(many: Desk) -> None:
    """All rows come back once, in another order."""
    keys = [row["key"] for row in await many.rows_of_run()]

    assert sorted(keys) == sorted(f"r{number}-x" for number in range(200))
    assert keys != [f"r{number}-x" for number in range(200)]


async def test_a_bad_role_fails_only_its_row(many: Desk) -> None:
    """The job succeeds; the row carries Google's text with code 400, and the counters know it."""
    bad = prompt("hello", key="bad")
    bad["request"]["contents"][0]["role"] = "tester"
    await many.put([bad, prompt("hello", key="good")])

    job = await many.ran()

    rows = {row["key"]: row for row in await many.rows(job)}
    assert job["completionStats"] == {"successfulCount": "1", "failedCount": "1"}
    assert rows["good"]["status"] == ""
    assert rows["bad"]["status"].startswith('Bad Request: {"error": {"code": 400, "message": "Please use')
    assert not rows["bad"].get("response")


async def test_shares_of_rows_fail_as_told(many: Desk) -> None:
    """A quarter is over quota, a quarter breaks; both are counted as failed, and only these."""
    many.simulator.behaviours.set(Behaviour(quota_rows=0.25, server_error_rows=0.25))

    job = await many.ran()

    statuses = [row["status"] for row in await many.rows(job)]
    quota = [status for status in statuses if status.startswith("RESOURCE_EXHAUSTED")]
    broken = [status for status in statuses if '"code": 500' in status]
    assert 30 < len(quota) < 70
    assert 30 < len(broken) < 70
    assert job["completionStats"]["failedCount"] == str(len(quota) + len(broken))


async def test_a_job_with_only_failed_rows_still_succeeds(many: Desk) -> None:
    """SUCCEEDED says nothing about the rows."""
    many.simulator.behaviours.set(Behaviour(server_error_rows=1))

    job = await many.ran()

    assert state_of(job) == "SUCCEEDED"
    assert job["completionStats"] == {"failedCount": "200"}


async def test_missing_rows_leave_no_line(many: Desk) -> None:
    """The job is PARTIALLY_SUCCEEDED and counts what is not there as incomplete."""
    many.simulator.behaviours.set(Behaviour(missing_rows=0.3, partial=True))

    job = await many.ran()

    left = int(job["completionStats"]["incompleteCount"])
    assert state_of(job) == "PARTIALLY_SUCCEEDED"
    assert 0 < left < 200
    assert len(await many.rows(job)) == 200 - left


async def test_lines_may_be_doubled_and_torn(many: Desk) -> None:
    """Some lines are there twice; some are half of one."""
    many.simulator.behaviours.set(Behaviour(repeated_rows=0.2, corrupt_rows=0.2))

    lines = (await many.files(await many.ran()))["predictions.jsonl"].splitlines()

    torn = [line for line in lines if not line.endswith(b"}}")]
    assert len(lines) > 200
    assert 0 < len(torn) < 120


@pytest.mark.parametrize(
    ("echo", "beside"),
    [
        (Echo.SIBLINGS, {"key": "007", "name": "x"}),
        (Echo.NONE, {}),
        (Echo.COERCED, {"key": 7, "name": "x"}),
    ],
)
async def test_fields_beside_the_request_come_back_as_told(
    many: Desk, echo: Echo, beside: dict[str, object]
) -> None:
    """They may come back, be lost, or have become numbers."""
    many.simulator.behaviours.set(Behaviour(echo=echo))
    await many.put([prompt("hello", key="007", name="x")])

    row = (await many.rows_of_run())[0]

    known = {"request", "response", "status", "processed_time"}
    assert {name: value for name, value in row.items() if name not in known} == beside


async def test_the_echoed_request_has_the_nulls_of_a_union(many: Desk) -> None:
    """Every part has every key that any row's part has, in alphabetical order."""
    rich = prompt("hello")
    rich["request"]["contents"][0]["parts"].insert(0, {"fileData": {"fileUri": "gs://x/y.png"}})
    await many.put([prompt("plain"), rich])

    rows = await many.rows_of_run()

    parts = [part for row in rows for part in row["request"]["contents"][0]["parts"]]
    assert {"fileData": None, "text": "plain"} in parts
    assert {"fileData": {"fileUri": "gs://x/y.png"}, "text": None} in parts
    assert all(list(part) == ["fileData", "text"] for part in parts)


async def test_finished_rows_may_be_published_while_the_job_runs(many: Desk) -> None:
    """Files below ``incremental_predictions`` come first and are repeated in the final file."""
    timing = Timing(pending_s=0, rows_per_s=1000, run_s=0)
    many.simulator.behaviours.set(Behaviour(incremental_rows=50, timing=timing))
    job = await many.create()
    early = await many.when(
        job["name"], lambda job: int(job.get("completionStats", {}).get("successfulCount", 0)) > 60
    )

    files_early = await many.files(early)
    files = await many.files(await many.ended(job["name"]))

    assert state_of(early) == "RUNNING"
    assert "incremental_predictions/predictions_00000.jsonl" in files_early
    assert "predictions.jsonl" not in files_early
    repeated = b"".join(content for name, content in files.items() if name != "predictions.jsonl")
    assert sorted(repeated.splitlines()) == sorted(files["predictions.jsonl"].splitlines())


async def test_the_output_may_be_in_shards(many: Desk) -> None:
    """Each row is in one of the files."""
    many.simulator.behaviours.set(Behaviour(shards=3))

    files = await many.files(await many.ran())

    assert list(files) == [f"predictions-0000{shard}-of-00003.jsonl" for shard in range(3)]
    keys = {json.loads(line)["key"] for content in files.values() for line in content.splitlines()}
    assert len(keys) == 200


async def test_an_export_may_be_denied_after_the_rows_have_run(many: Desk) -> None:
    """FAILED with code 7; the rows are counted, the directory is named, and nothing is in it."""
    many.simulator.behaviours.set(Behaviour(export_denied=True))

    job = await many.ran()

    assert (state_of(job), job["error"]["code"]) == ("FAILED", 7)
    assert '"storage.objects.create"' in job["error"]["message"]
    assert job["completionStats"] == {"successfulCount": "200"}
    assert await many.files(job) == {}


async def test_a_job_may_break_halfway_or_expire(many: Desk) -> None:
    """A system error has code 13; a job that expires in the queue never ran."""
    many.simulator.behaviours.set(Behaviour(fail_code=13), match="broken")
    many.simulator.behaviours.set(Behaviour(expires=True), match="old")

    broken, old = await many.ran(displayName="broken"), await many.ran(displayName="old")

    assert (state_of(broken), broken["error"]["code"]) == ("FAILED", 13)
    assert state_of(old) == "EXPIRED"
    assert not {"startTime", "completionStats", "outputInfo"} & set(old)


@pytest.mark.parametrize("state", ["PENDING", "QUEUED", "RUNNING", "PAUSED", "UPDATING", "CANCELLING"])
async def test_a_job_may_be_stuck_until_told_otherwise(many: Desk, state: str) -> None:
    """It stays in the state while the behaviour says so, and then goes on to its end."""
    stuck = Behaviour(
        stuck_state=JobState(f"JOB_STATE_{state}"), timing=SLOW if state == "CANCELLING" else None
    )
    many.simulator.behaviours.set(stuck)
    job = await many.create()
    if state == "CANCELLING":
        await many.when(job["name"], lambda job: state_of(job) == "RUNNING")
        await many.call("POST", f"/v1/{job['name']}:cancel", json={})

    await many.when(job["name"], lambda job: state_of(job) == state)
    many.simulator.behaviours.clear()

    final = "CANCELLED" if state == "CANCELLING" else "SUCCEEDED"
    assert state_of(await many.ended(job["name"])) == final


async def test_a_state_may_be_a_word_that_no_client_knows(many: Desk) -> None:
    """It is shown while the job runs; asked for numbers, it is one beyond Google's."""
    many.simulator.behaviours.set(Behaviour(state_word="JOB_STATE_DREAMING", stuck_state=JobState.RUNNING))
    job = await many.create()

    found = await many.when(job["name"], lambda job: job["state"] == "JOB_STATE_DREAMING")
    _, numbered = await many.call("GET", f"/v1/{found['name']}", params={"$alt": "json;enum-encoding=int"})

    assert numbered["state"] == 99


async def test_an_input_with_one_bad_line_fails_before_any_row_runs(many: Desk) -> None:
    """Nothing was predicted: no counters and no output directory."""
    empty = prompt("search")
    empty["request"]["tools"] = [{"googleSearch": {}}]
    await many.put([*keyed(3), empty])

    job = await many.ran()

    assert (state_of(job), job["error"]["code"]) == ("FAILED", 3)
    assert "Cannot store struct 'request.tools.googleSearch' with no fields" in job["error"]["message"]
    assert not {"completionStats", "outputInfo", "startTime"} & set(job)


async def test_an_earlier_output_resumes(many: Desk) -> None:
    """Rows that have an answer are passed through, rows that failed are run again."""
    many.simulator.behaviours.set(Behaviour(server_error_rows=0.5))
    before = await many.files(await many.ran())
    many.simulator.behaviours.clear()
    await many.put(before["predictions.jsonl"])

    job = await many.ran()

    done = {line for line in before["predictions.jsonl"].splitlines() if b'"status":""' in line}
    after = (await many.files(job))["predictions.jsonl"].splitlines()
    assert job["completionStats"] == {"successfulCount": "200"}
    assert done < set(after)


async def test_behaviour_is_told_over_http(many: Desk) -> None:
    """For one job by a part of its display name; a field nobody knows is refused."""
    told = {"match": "special", "server_error_rows": 1, "timing": {"pending_s": 0, "run_s": 0}}

    status, _ = await many.call("POST", "/_simulator/behaviour", json=told)
    refused, answer = await many.call("POST", "/_simulator/behaviour", json={"colour": 1})

    assert (status, refused) == (200, 400)
    assert "colour" in answer["error"]
    special, other = await many.ran(displayName="so special"), await many.ran(displayName="other")
    assert special["completionStats"] == {"failedCount": "200"}
    assert other["completionStats"] == {"successfulCount": "200"}
    await many.call("DELETE", "/_simulator/behaviour")
    assert (await many.ran(displayName="so special"))["completionStats"] == {"successfulCount": "200"}
