"""The simulated Vertex AI answers online calls as Google's own client expects them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.prompt_objects import fetch
from tests.contract.recording_proxy import Recording
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

MODEL = "gemini-2.5-flash"

# The client's types are incomplete; taken as Any they do not spoil those of the test.
Api = Any
genai: Api = importlib.import_module("google.genai")
errors: Api = importlib.import_module("google.genai.errors")
credentials: Api = importlib.import_module("google.oauth2.credentials")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator."""
    with running_simulator() as running:
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


def test_genai_gets_an_answer(simulator: Simulator, client: Api) -> None:
    """The same one for the same prompt, with its tokens; each answer is noted as paid."""
    first = client.models.generate_content(model=MODEL, contents="Say one")
    again = client.models.generate_content(model=MODEL, contents="Say one")

    assert first.text == again.text
    assert first.usage_metadata.prompt_token_count > 0
    assert [call.verb for call in simulator.online_calls] == ["generateContent"] * 2
    assert len(json.loads(fetch(f"{simulator.url}/_simulator/online"))) == 2


def test_genai_hears_what_is_wrong(simulator: Simulator, client: Api) -> None:
    """A role that is none is refused as in a row; a fault's status comes as it is; nothing is paid."""
    with pytest.raises(errors.ClientError, match="valid role"):
        client.models.generate_content(model=MODEL, contents=[{"role": "robot", "parts": [{"text": "x"}]}])
    simulator.faults.add(Fault(method="*.generateContent", action=Action.REFUSE, status=429))
    with pytest.raises(errors.ClientError, match="429"):
        client.models.generate_content(model=MODEL, contents="Say one")

    assert simulator.online_calls == []


def test_what_passes_is_for_those_that_ask_for_it(simulator: Simulator, client: Api) -> None:
    """Shares of rows with a 429 are for jobs, unless the behaviour is set for online calls."""
    simulator.behaviours.set(Behaviour(quota_rows=1.0))
    client.models.generate_content(model=MODEL, contents="Say one")
    simulator.behaviours.set(Behaviour(quota_rows=1.0), match="online")
    with pytest.raises(errors.ClientError, match="quota exceeded"):
        client.models.generate_content(model=MODEL, contents="Say one")

    assert len(simulator.online_calls) == 1


def test_a_model_that_is_not_there_is_not_found(client: Api) -> None:
    """By Google's name for it."""
    with pytest.raises(errors.ClientError, match="NOT_FOUND"):
        client.models.generate_content(model="gemini-does-not-exist", contents="Say one")


@pytest.mark.parametrize(
    ("model", "verb"), [("gemini-embedding-001", "embedContent"), ("text-embedding-005", "predict")]
)
def test_genai_gets_a_vector(simulator: Simulator, client: Api, model: str, verb: str) -> None:
    """Each model by the method that the client takes for it; the same text has the same vector."""
    first, again = (client.models.embed_content(model=model, contents="Say one") for _ in range(2))

    assert len(first.embeddings[0].values) in {768, 3072}
    assert first.embeddings[0].values == again.embeddings[0].values
    assert [call.verb for call in simulator.online_calls] == [verb] * 2
