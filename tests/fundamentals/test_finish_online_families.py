"""Finish online in the other families: embeddings, and models of one's own through their endpoints."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import PROMPTS, check_sums
from tests.fundamentals.stopping_house import batches_of, let_deadline_pass
from vertexq import Outcome, SubmissionState
from vertexq.endpoint_orders import checked
from vertexq.endpoints import EndpointOrder, LongOperation, OperationKind, Resources
from vertexq.google.auth import default_tokens
from vertexq.google.endpoints import Endpoints
from vertexq.google.rest import Transport
from vertexq.model import OnDeadline
from vertexq.simulator.behaviour import Behaviour
from vertexq.states import SUBMISSION_TERMINAL

FEW = Behaviour(quota_rows=0.3, missing_rows=0.1)
HERE = "projects/demo/locations/us-central1"
OWN, OTHER = f"{HERE}/models/4711", f"{HERE}/models/17"


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("text-embedding-005", {}), ("gemini-embedding-001", {}), ("gemini-embedding-001", {"dimensions": 8})],
)
async def test_embeddings_are_finished_online(
    house: House, model: str, parameters: dict[str, object]
) -> None:
    """Texts that are there twice have a vector each; an online one is what a job would have given."""
    texts = [*PROMPTS, *PROMPTS[:5]]
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(texts, model=model, store="results", id="one", finish_online=30, parameters=parameters)
        status = await house.until_rest("one")
        found = {one.key: (one.embedding, one.attempt) for one in client.results("one")}
        house.simulator.behaviours.clear()
        client.submit(texts, model=model, store="results", id="two", parameters=parameters)
        await house.until_rest("two")
        by_job = {one.key: one.embedding for one in client.results("two")}

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(texts))
    assert 0 < status.online_rows == len(house.simulator.online_calls)
    assert {key: vector for key, (vector, _) in found.items()} == by_job
    assert {attempt for _, attempt in found.values()} == {1, 2}
    check_sums(house, "one")


async def test_a_failed_embedding_keeps_googles_words(house: House) -> None:
    """Refused online it is a failed row without a vector."""
    house.simulator.behaviours.set(FEW)
    house.simulator.behaviours.set(Behaviour(bad_rows=0.5), match="online")
    with house.client() as client:
        client.submit(PROMPTS, model="text-embedding-005", store="results", id="one", finish_online=30)
        status = await house.until_rest("one")
        failed = [one for one in client.results("one") if one.outcome is Outcome.FAILED]

    assert status.counts.failed == len(failed) > 0
    assert {one.error_code for one in failed} == {400}
    check_sums(house, "one")


@pytest.mark.parametrize("dedicated", [False, True])
async def test_a_tuned_model_is_asked_through_an_endpoint_that_serves_it(
    house: House, *, dedicated: bool
) -> None:
    """The endpoint is looked up at the model, and asked at its own host when it has one."""
    house.simulator.behaviours.set(FEW)
    await deployed(house, "chat", dedicated=dedicated)
    with house.client() as client:
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        status = await house.until_rest("one")

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, len(PROMPTS))
    assert status.online_rows > 0
    assert {call.name.rpartition("/")[2] for call in house.simulator.online_calls} == {"chat"}
    check_sums(house, "one")


async def test_a_tuned_model_without_an_endpoint_waits_for_one(house: House) -> None:
    """A person reads what to do; once it is deployed, enqueueing again goes on."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        parked = await house.until_rest("one")
        await deployed(house, "late")
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        status = await house.until_rest("one")

    assert parked.state is SubmissionState.PARKED
    assert "no endpoint serves" in parked.reason
    assert status.counts.succeeded == len(PROMPTS)
    assert len(batches_of(house, "one")) == 2
    check_sums(house, "one")


@pytest.mark.parametrize("late", [False, True])
async def test_rows_that_nobody_can_answer_keep_no_submission_for_ever(house: House, *, late: bool) -> None:
    """A cancel ends it, and so does its deadline; what was answered stays."""
    house.simulator.behaviours.set(FEW)
    with house.client() as client:
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        parked = await house.until_rest("one")
        if late:
            let_deadline_pass(house, "one", OnDeadline.REPORT)
        else:
            client.cancel("one")
        await house.until(lambda: client.get("one").state in SUBMISSION_TERMINAL)
        status = client.get("one")

    assert parked.state is SubmissionState.PARKED
    assert status.state is (SubmissionState.DONE if late else SubmissionState.CANCELLED)
    assert 0 < status.counts.succeeded < status.counts.total == len(PROMPTS)
    check_sums(house, "one")


async def test_rows_never_go_to_another_model_of_an_endpoint(house: House) -> None:
    """An endpoint that serves others beside it is passed over; a person reads why none is left."""
    house.simulator.behaviours.set(FEW)
    await deployed(house, "shop", models=[OTHER, OWN])
    with house.client() as client:
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        parked = await house.until_rest("one")
        await deployed(house, "alone")
        client.submit(PROMPTS, model=OWN, store="results", id="one", finish_online=30)
        status = await house.until_rest("one")

    assert "endpoints/shop may go to other models" in parked.reason
    assert status.counts.succeeded == len(PROMPTS)
    assert {call.model for call in house.simulator.online_calls} == {OWN}


async def deployed(
    house: House, name: str, *, models: Sequence[str] = (OWN,), dedicated: bool = False
) -> None:
    """Have an endpoint with models on it; all requests go to the first."""
    endpoint = f"{HERE}/endpoints/{name}"
    async with Transport(await default_tokens(emulator=True)) as transport:
        there = Endpoints(transport, endpoint=house.simulator.url)
        made = checked(EndpointOrder(kind=OperationKind.CREATE, endpoint=endpoint, dedicated=dedicated))
        await done(there, await there.create(made))
        for number, model in enumerate(models, start=1):
            order = EndpointOrder(
                kind=OperationKind.DEPLOY,
                endpoint=endpoint,
                model=model,
                deployed_model_id=str(number),
                resources=Resources(max_replicas=1),
            )
            await done(there, await there.deploy(endpoint, checked(order), {}))


async def done(endpoints: Endpoints, begun: LongOperation) -> None:
    """Wait for an operation."""
    for _ in range(10_000):
        if (await endpoints.operation(begun.name)).done:
            return
    raise AssertionError("the operation did not end")
