"""Our client's requests and the simulated Vertex AI's answers are what the discovery document describes."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contract.discovery_schemas import document, exchange_faults
from tests.contract.prompt_objects import fetch, prompt_row, put_rows, read_rows, wait_for
from tests.contract.recording_proxy import Recording, recording
from vertexq.errors import NotFound, Refused
from vertexq.google.auth import Tokens
from vertexq.google.messages import job_body
from vertexq.google.rest import Transport
from vertexq.google.vertex import Vertex
from vertexq.model import Job
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.states import JobState
from vertexq.testing.simulator import running_simulator

PROJECT, LOCATION = "my-project", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
BODY = job_body(
    display_name="b1",
    labels={"vertexq": "b1"},
    model="gemini-2.5-flash",
    source="gs://prompts/in.jsonl",
    destination="gs://prompts/out/1",
)
ROWS: list[dict[str, object]] = [
    prompt_row("Say one", key="k-1"),
    {"key": "k-2", "request": {"contents": [{"role": "tester", "parts": [{"text": "x"}]}]}},
]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator with two prompts in ``gs://prompts/in.jsonl``, one of them with a bad role."""
    with running_simulator(buckets=("prompts",), timing=Timing.fast()) as running:
        put_rows(running.url, "gs://prompts/in.jsonl", ROWS)
        yield running


async def ended(vertex: Vertex, name: str) -> Job:
    """Return the job when it has ended."""
    while (job := await vertex.get(name)).end_time is None:
        pass
    return job


async def test_our_client_sees_a_job_through_its_life(simulator: Simulator, proxy: Recording) -> None:
    """Create, get, list by label and name, read, delete; a bad row is counted, not fatal."""
    async with Transport(Tokens()) as transport:
        vertex = Vertex(transport, endpoint=proxy.url)
        created = await vertex.create(PROJECT, LOCATION, BODY)
        job = await ended(vertex, created.name)
        listed = [each async for each in vertex.list(PROJECT, LOCATION, filter='labels.vertexq="b1"')]
        operation = await vertex.delete(job.name)

    assert (created.state, job.state) == (JobState.PENDING, JobState.SUCCEEDED)
    assert (job.stats.successful, job.stats.failed) == (1, 1)
    assert (listed, job.name) == ([job], simulator.accepted[0].name)
    assert {row["key"] for row in read_rows(simulator.url, job.output_directory)} == {"k-1", "k-2"}
    done = wait_for(lambda: json.loads(fetch(f"{proxy.url}/v1/{operation}")), lambda said: "done" in said)
    assert done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}


async def test_our_client_is_refused_in_googles_words(simulator: Simulator, proxy: Recording) -> None:
    """No model, bad labels, a bad filter, no job, a cancel too late: each has Google's envelope."""
    bad_label = {**BODY, "labels": {"Team": "Red"}}
    no_model = {**BODY, "model": "publishers/google/models/gemini-does-not-exist"}
    async with Transport(Tokens()) as transport:
        vertex = Vertex(transport, endpoint=proxy.url)
        for body in (bad_label, no_model, {}):
            with pytest.raises(Refused):
                await vertex.create(PROJECT, LOCATION, body)
        with pytest.raises(NotFound):
            await vertex.get(f"{PARENT}/batchPredictionJobs/1")
        created = await vertex.create(PROJECT, LOCATION, BODY)
        await ended(vertex, created.name)
        with pytest.raises(Refused, match="terminal state"):
            await vertex.cancel(created.name)

    assert [create.name for create in simulator.accepted] == [created.name]


@pytest.mark.parametrize("model", ["gemini-2.5-flash", f"{PARENT}/models/17", "gemini-2.0-flash-001"])
async def test_our_client_looks_models_up(simulator: Simulator, proxy: Recording, model: str) -> None:
    """A publisher's, a tuned one, and both when they are gone."""
    async with Transport(Tokens()) as transport:
        vertex = Vertex(transport, endpoint=proxy.url)
        known = await vertex.model(LOCATION, model)
        simulator.models.retire(known.rpartition("/")[2], "gemini-2.0-flash")

        with pytest.raises(NotFound, match="was never there, or is retired") as raised:
            await vertex.model(LOCATION, model)

    assert known.endswith(model.rpartition("/")[2])
    assert (raised.value.status, raised.value.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        (Behaviour(export_denied=True), JobState.FAILED),
        (Behaviour(fail_code=13), JobState.FAILED),
        (Behaviour(expires=True), JobState.EXPIRED),
        (Behaviour(partial=True, missing_rows=0.5), JobState.PARTIALLY_SUCCEEDED),
        (Behaviour(late_output_info=True), JobState.SUCCEEDED),
    ],
)
async def test_every_end_is_described(
    simulator: Simulator, proxy: Recording, behaviour: Behaviour, state: JobState
) -> None:
    """However a job ends, every answer on the way is what the document says."""
    simulator.behaviours.set(behaviour)
    async with Transport(Tokens()) as transport:
        vertex = Vertex(transport, endpoint=proxy.url)
        created = await vertex.create(PROJECT, LOCATION, BODY)

        job = await ended(vertex, created.name)

    assert job.state is state
    assert (job.error is None) is (state is not JobState.FAILED)


def test_a_list_without_jobs_says_nothing(simulator: Simulator, proxy: Recording) -> None:
    """The key of an empty list is left out."""
    assert json.loads(fetch(f"{proxy.url}/v1/{PARENT}/batchPredictionJobs")) == {}


def test_a_filter_that_cannot_be_read_is_refused(proxy: Recording) -> None:
    """With a 400 in Google's envelope."""
    with pytest.raises(urllib.error.HTTPError, match="400"):
        fetch(f"{proxy.url}/v1/{PARENT}/batchPredictionJobs?filter=colour%3Dred")


def test_the_check_sees_what_is_wrong(simulator: Simulator) -> None:
    """A field nobody knows, a number for text, a time that is none, an odd parameter, a loose error."""
    with recording(simulator.url) as record:
        fetch(f"{record.url}/v1/{PARENT}/batchPredictionJobs", json.dumps(BODY).encode())
        (good,) = record.exchanges

    wrong = {"colour": "red", "createTime": "yesterday", "completionStats": {"failedCount": 1}}
    found = exchange_faults(replace(good, query={"colour": "red"}, said={**good.said, **wrong}))

    assert exchange_faults(good) == []
    assert len(found) == 4
    assert exchange_faults(replace(good, status=400, said={"error": {"code": 404, "message": "m"}})) == [
        "no status word",
        "the code is not the HTTP status",
    ]
    with pytest.raises(LookupError, match="no method for PATCH"):
        document("v1").method("PATCH", good.path)
