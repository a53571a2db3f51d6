"""A simulated job's life: created, listed, run, cancelled, deleted, as Google's service does it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.contract.simulated_jobs import JOBS, SLOW, Desk, body, desk, keyed, state_of
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.timing import Timing
from vertexq.states import JobState


@pytest.fixture
async def busy() -> AsyncIterator[Desk]:
    """Give a simulator with three prompts."""
    async with desk(rows=keyed(3)) as made:
        yield made


@pytest.fixture
async def slow() -> AsyncIterator[Desk]:
    """Give a simulator that answers 50 rows a second and has 500 of them."""
    async with desk(rows=keyed(500), timing=SLOW) as made:
        yield made


async def test_a_new_job_is_pending_with_nothing_counted(busy: Desk) -> None:
    """The project's number stands in the name, the id has 19 digits, and there are no counters yet."""
    job = await busy.create(labels={"vertexq": "b1"})

    pattern = r"projects/\d{12}/locations/us-central1/batchPredictionJobs/\d{19}"
    assert re.fullmatch(pattern, job["name"])
    assert job["state"] == "JOB_STATE_PENDING"
    assert job["labels"] == {"vertexq": "b1"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job["createTime"])
    assert not {"completionStats", "startTime", "endTime", "outputInfo", "error"} & set(job)


async def test_a_job_ends_with_counters_as_texts_and_a_directory(busy: Desk) -> None:
    """A job that succeeded has times, int64s as strings without zeros, and says where its output is."""
    job = await busy.ran()

    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job["completionStats"] == {"successfulCount": "3"}
    assert job["createTime"] < job["startTime"] < job["endTime"] == job["updateTime"]
    pattern = r"gs://prompts/out/prediction-model-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    assert re.fullmatch(pattern, job["outputInfo"]["gcsOutputDirectory"])
    assert list(await busy.files(job)) == ["predictions.jsonl"]


async def test_the_name_may_hold_the_project_id_or_its_number(busy: Desk) -> None:
    """Both find the job, and the answer bears the number."""
    job = await busy.create()
    job_id = job["name"].rpartition("/")[2]

    _, found = await busy.call("GET", f"{JOBS}/{job_id}")

    assert found["name"] == job["name"]


async def test_counters_grow_while_the_job_runs(slow: Desk) -> None:
    """Halfway some rows are counted as done and the rest as incomplete."""
    job = await slow.create()

    seen = await slow.when(job["name"], lambda job: "successfulCount" in job.get("completionStats", {}))

    stats = seen["completionStats"]
    assert seen["state"] == "JOB_STATE_RUNNING"
    assert int(stats["successfulCount"]) + int(stats["incompleteCount"]) == 500
    assert "outputInfo" in seen


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_create_is_read_as_loosely_as_google_reads_it(busy: Desk, version: str) -> None:
    """A bare string for ``uris``, snake_case, and a ``name`` that is output only are all taken."""
    loose = {
        "name": "x",
        "display_name": "loose",
        "model": "publishers/google/models/gemini-2.5-flash",
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": "gs://prompts/in.jsonl"}},
        "output_config": body()["outputConfig"],
    }

    status, job = await busy.call("POST", JOBS.replace("v1", version), json=loose)

    assert status == 200
    assert job["displayName"] == "loose"
    assert job["inputConfig"]["gcsSource"]["uris"] == ["gs://prompts/in.jsonl"]
    assert state_of(await busy.ended(job["name"])) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("changes", "status", "word", "message"),
    [
        ({"displayName": None}, 400, "INVALID_ARGUMENT", "display_name"),
        ({"model": None}, 400, "INVALID_ARGUMENT", "model"),
        ({"inputConfig": None}, 400, "INVALID_ARGUMENT", "input_config"),
        ({"outputConfig": {"predictionsFormat": "jsonl"}}, 400, "INVALID_ARGUMENT", "destination"),
        ({"labels": {"Team": "x"}}, 400, "INVALID_ARGUMENT", "Team"),
        ({"labels": {"team": "UPPER"}}, 400, "INVALID_ARGUMENT", "team"),
        ({"labels": {"team": "x" * 65}}, 400, "INVALID_ARGUMENT", "64"),
        ({"displayName": "x" * 129}, 400, "INVALID_ARGUMENT", "128"),
        ({"colour": "red"}, 400, "INVALID_ARGUMENT", "colour"),
        ({"model": "publishers/google/models/gemini-does-not-exist"}, 404, "NOT_FOUND", "PublisherModel"),
        ({"model": "publishers/google/models/other-1"}, 404, "NOT_FOUND", "other-1 does not exist"),
        ({"model": "projects/p/locations/europe-west1/models/1"}, 400, "INVALID_ARGUMENT", "location"),
        ({"model": "gemini-2.5-flash"}, 400, "INVALID_ARGUMENT", "model resource name"),
    ],
)
async def test_a_create_that_cannot_work_is_refused(
    busy: Desk, changes: dict[str, object], status: int, word: str, message: str
) -> None:
    """The answer is Google's envelope; nothing was accepted."""
    found, answer = await busy.call("POST", JOBS, json=body(**changes))

    error = answer["error"]
    assert (found, error["code"], error["status"]) == (status, status, word)
    assert message in error["message"]
    assert busy.simulator.accepted == []


async def test_a_body_that_is_no_json_is_refused(busy: Desk) -> None:
    """Google says 400 to it."""
    status, answer = await busy.call("POST", JOBS, data=b"{")

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_two_jobs_may_share_a_display_name(busy: Desk) -> None:
    """Nothing about a create is idempotent: the same body twice is two jobs."""
    first, second = await busy.create(), await busy.create()

    assert first["name"] != second["name"]
    assert [accepted.name for accepted in busy.simulator.accepted] == [first["name"], second["name"]]


@pytest.mark.parametrize("where", ["inputConfig", "outputConfig"])
async def test_a_bucket_that_is_not_there_fails_the_job_later(busy: Desk, where: str) -> None:
    """The create is a 200 all the same; the job fails with code 9 and Google's words."""
    elsewhere = json.dumps(body()[where]).replace("gs://prompts", "gs://nowhere")

    job = await busy.ran(**{where: json.loads(elsewhere)})

    assert state_of(job) == "FAILED"
    assert job["error"]["code"] == 9
    assert job["error"]["message"].startswith("Failed to get GCS bucket location for nowhere.")


async def test_an_input_that_is_not_there_fails_the_job(busy: Desk) -> None:
    """The message names the URI."""
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://prompts/none-*.jsonl"]}}

    job = await busy.ran(inputConfig=source)

    assert state_of(job) == "FAILED"
    assert "gs://prompts/none-*.jsonl" in job["error"]["message"]


async def test_a_wildcard_reads_every_file_that_fits(busy: Desk) -> None:
    """Rows of all matching objects run in one job."""
    await busy.put(keyed(2), "parts/a.jsonl")
    await busy.put(keyed(4), "parts/b.jsonl")
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://prompts/parts/*.jsonl"]}}

    job = await busy.ran(inputConfig=source)

    assert job["completionStats"] == {"successfulCount": "6"}


async def test_a_job_that_has_not_begun_is_cancelled_at_once(busy: Desk) -> None:
    """It never shows CANCELLING, has no counters, and its error is code 1 with one L."""
    busy.simulator.behaviours.set(Behaviour(stuck_state=JobState.PENDING))
    job = await busy.create()

    status, answer = await busy.call("POST", f"/v1/{job['name']}:cancel", json={})
    found = await busy.get(job["name"])

    assert (status, answer) == (200, {})
    assert state_of(found) == "CANCELLED"
    assert found["error"] == {"code": 1, "message": "CANCELED"}
    assert "completionStats" not in found


async def test_a_running_job_that_is_cancelled_exports_what_is_done(slow: Desk) -> None:
    """It is CANCELLING for a while; its finished rows, and no others, are in the output."""
    job = await slow.create()
    await slow.when(job["name"], lambda job: "successfulCount" in job.get("completionStats", {}))

    await slow.call("POST", f"/v1/{job['name']}:cancel", json={})

    assert state_of(await slow.get(job["name"])) == "CANCELLING"
    ended = await slow.ended(job["name"])
    assert state_of(ended) == "CANCELLED"
    done = int(ended["completionStats"]["successfulCount"])
    assert 0 < done < 500
    assert len(await slow.rows(ended)) == done


async def test_a_cancel_may_come_too_late(slow: Desk) -> None:
    """A job that is CANCELLING can end SUCCEEDED, with all its rows."""
    quick = Timing(pending_s=0, rows_per_s=5000, run_s=0, cancelling_s=0)
    slow.simulator.behaviours.set(Behaviour(cancel_loses=True, timing=quick))
    job = await slow.create()
    await slow.when(job["name"], lambda job: state_of(job) == "RUNNING")

    await slow.call("POST", f"/v1/{job['name']}:cancel", json={})

    assert (await slow.ended(job["name"]))["completionStats"] == {"successfulCount": "500"}


async def test_a_finished_job_cannot_be_cancelled(busy: Desk) -> None:
    """Google answers FAILED_PRECONDITION with status 400."""
    job = await busy.ran()

    status, answer = await busy.call("POST", f"/v1/{job['name']}:cancel", json={})

    assert (status, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")


async def test_a_delete_is_an_operation_and_then_the_job_is_gone(busy: Desk) -> None:
    """``done`` is left out until it is; after that a get is 404."""
    job = await busy.ran()

    _, begun = await busy.call("DELETE", f"/v1/{job['name']}")
    while not (operation := (await busy.call("GET", f"/v1/{begun['name']}"))[1]).get("done"):
        pass

    assert "done" not in begun
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    status, answer = await busy.call("GET", f"/v1/{job['name']}")
    assert (status, answer["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_running_job_cannot_be_deleted(slow: Desk) -> None:
    """It must be finished first."""
    job = await slow.create()

    status, answer = await slow.call("DELETE", f"/v1/{job['name']}")

    assert (status, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")


async def test_numbers_stand_for_enums_when_a_client_asks_so(busy: Desk) -> None:
    """The transport of google-cloud-aiplatform asks with ``$alt=json;enum-encoding=int``."""
    job = await busy.ran()

    _, found = await busy.call("GET", f"/v1/{job['name']}", params={"$alt": "json;enum-encoding=int"})

    assert found["state"] == 4
    assert found["completionStats"] == {"successfulCount": "3"}


async def test_fields_cut_an_answer_down(busy: Desk) -> None:
    """``fields`` works on every answer, also that of a create."""
    _, job = await busy.call("POST", JOBS, json=body(), params={"fields": "name,inputConfig/gcsSource"})

    assert set(job) == {"name", "inputConfig"}
    assert job["inputConfig"] == {"gcsSource": {"uris": ["gs://prompts/in.jsonl"]}}
