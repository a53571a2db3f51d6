"""Google's own clients, google-genai and google-cloud-aiplatform, find in the simulator what they expect."""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.prompt_objects import fetch, prompt_row, put_rows, read_rows, wait_for
from tests.contract.recording_proxy import Recording
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.states import JobState
from vertexq.testing.simulator import running_simulator

ROOT = Path(__file__).parents[2]
MODEL = "gemini-2.5-flash"
PROMPTS = [prompt_row(f"Say {word}", key=f"k-{word}") for word in ("one", "two", "three")]

# The clients' types are incomplete; taken as Any they do not spoil those of the test.
Api = Any
genai: Api = importlib.import_module("google.genai")
errors: Api = importlib.import_module("google.genai.errors")
credentials: Api = importlib.import_module("google.oauth2.credentials")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator with three prompts in ``gs://prompts/in.jsonl``."""
    with running_simulator(buckets=("prompts",), timing=Timing.fast()) as running:
        put_rows(running.url, "gs://prompts/in.jsonl", PROMPTS)
        yield running


@pytest.fixture(params=["v1", "v1beta1"])
def client(request: pytest.FixtureRequest, proxy: Recording) -> Iterator[Api]:
    """Give google-genai, in the version of the official samples and in its own default."""
    made = genai.Client(
        vertexai=True,
        project="my-project",
        location="us-central1",
        credentials=credentials.Credentials(token="fake"),
        http_options={"base_url": proxy.url, "api_version": request.param},
    )
    yield made
    made.close()


def submit(client: Api, name: str = "b1") -> Api:
    """Create a job over the three prompts."""
    config = {"display_name": name, "dest": "gs://prompts/out"}
    return client.batches.create(model=MODEL, src="gs://prompts/in.jsonl", config=config)


def ended(client: Api, name: str) -> Api:
    """Return the job when it has ended."""
    return wait_for(lambda: client.batches.get(name=name), lambda job: job.end_time is not None)


def output_directory(simulator: Simulator, name: str) -> str:
    """Return a job's output directory, which google-genai leaves out of what it reads."""
    directory: str = json.loads(fetch(f"{simulator.url}/v1/{name}"))["outputInfo"]["gcsOutputDirectory"]
    return directory


def test_genai_creates_a_job_and_reads_its_output(simulator: Simulator, client: Api) -> None:
    """A job is PENDING at first, SUCCEEDED at last, and its answers are where it says."""
    created = submit(client)

    job = ended(client, created.name)

    assert created.state == JobState.PENDING
    assert (job.state, job.display_name) == (JobState.SUCCEEDED, "b1")
    assert job.model.endswith(f"publishers/google/models/{MODEL}")
    (accepted,) = simulator.accepted
    assert (accepted.name, accepted.display_name) == (created.name, "b1")
    [found] = client.batches.list(config={"filter": 'display_name="b1"'})
    directory = output_directory(simulator, found.name)
    assert {row["key"] for row in read_rows(simulator.url, directory)} == {"k-one", "k-two", "k-three"}


def test_genai_looks_a_model_up(simulator: Simulator, client: Api) -> None:
    """It is there, until it is retired."""
    found = client.models.get(model=MODEL)
    simulator.models.retire(MODEL)

    with pytest.raises(errors.ClientError) as raised:
        client.models.get(model=MODEL)

    assert found.name == f"publishers/google/models/{MODEL}"
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


def test_genai_turns_the_pages_of_a_list(client: Api) -> None:
    """Every job is listed once, newest first, however small the pages; a filter chooses."""
    names = [submit(client, f"b{number}").name for number in range(5)]

    everything = [job.name for job in client.batches.list(config={"page_size": 2})]
    chosen = list(client.batches.list(config={"page_size": 2, "filter": 'display_name:"b3*"'}))

    assert everything == list(reversed(names))
    assert [job.name for job in chosen] == [names[3]]
    assert list(client.batches.list(config={"filter": 'display_name="none"'})) == []


def test_genai_cancels_a_job(simulator: Simulator, client: Api) -> None:
    """A job that waits in the queue is cancelled; a second cancel is refused."""
    simulator.behaviours.set(Behaviour(stuck_state=JobState.PENDING))
    created = submit(client)

    client.batches.cancel(name=created.name)

    job = ended(client, created.name)
    assert (job.state, job.error.code, job.error.message) == (JobState.CANCELLED, 1, "CANCELED")
    with pytest.raises(errors.ClientError, match="FAILED_PRECONDITION"):
        client.batches.cancel(name=created.name)


def test_genai_deletes_a_job(client: Api) -> None:
    """A finished job is deleted; then there is no such job."""
    created = submit(client)
    ended(client, created.name)

    client.batches.delete(name=created.name)

    wait_for(lambda: [job.name for job in client.batches.list()], lambda names: created.name not in names)
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        client.batches.get(name=created.name)


def test_genai_hears_of_an_unknown_model(simulator: Simulator, client: Api) -> None:
    """Google's message comes through, and nothing was created."""
    with pytest.raises(errors.ClientError, match="PublisherModel gemini-does-not-exist does not exist"):
        client.batches.create(model="gemini-does-not-exist", src="gs://prompts/in.jsonl")

    assert simulator.accepted == []


def test_aiplatform_sees_a_job_through_its_life(simulator: Simulator, proxy: Recording) -> None:
    """Over REST: create, get, list with filter and read mask, refusals, delete; then its classes."""
    python = ROOT / ".venv-aiplatform" / "bin" / "python"
    assert python.exists(), "google-cloud-aiplatform has no environment yet: run `make aiplatform` first"
    driver = ROOT / "tests" / "contract" / "aiplatform_driver.py"
    command = [str(python), str(driver), proxy.url, "gs://prompts/in.jsonl", "gs://prompts/out"]

    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)

    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])  # the package says things before
    raw, classes = simulator.accepted
    assert (seen["created"], seen["created_state"]) == (raw.name, "JOB_STATE_PENDING")
    assert (seen["state"], seen["successful"], seen["labels"]) == ("JOB_STATE_SUCCEEDED", 3, {"team": "raw"})
    assert len(read_rows(simulator.url, seen["directory"])) == 3
    assert seen["listed"] == [[raw.name, "JOB_STATE_SUCCEEDED", ""]]
    assert seen["high_level"] == {"state": "JOB_STATE_SUCCEEDED", "listed": [classes.name]}
    assert seen["cancel_of_a_finished_job"] == "BadRequest"
    assert (seen["deleted"], seen["after_delete"]) == (True, "NotFound")
