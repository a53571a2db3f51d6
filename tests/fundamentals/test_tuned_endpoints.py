"""An endpoint's id in the place of a model: the model behind it is found once, while rows are staged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fundamentals.house import House
from vertexq import Status, SubmissionState
from vertexq.endpoint_orders import checked
from vertexq.endpoints import EndpointOrder, LongOperation, OperationKind, Resources
from vertexq.google.auth import default_tokens
from vertexq.google.endpoints import Endpoints
from vertexq.google.rest import Transport
from vertexq.simulator.faults import Action, Fault

HERE = "projects/demo/locations/us-central1"
SHOP = f"{HERE}/endpoints/shop"


@pytest_asyncio.fixture
async def endpoints(house: House) -> AsyncIterator[Endpoints]:
    """Give a client of the house's Google, with an endpoint that serves nothing yet."""
    async with Transport(await default_tokens(emulator=True)) as transport:
        there = Endpoints(transport, endpoint=house.simulator.url)
        await done(
            there, await there.create(checked(EndpointOrder(kind=OperationKind.CREATE, endpoint=SHOP)))
        )
        yield there


async def done(endpoints: Endpoints, begun: LongOperation) -> None:
    """Wait for an operation."""
    while not (await endpoints.operation(begun.name)).done:
        pass


async def deploy(endpoints: Endpoints, model: str, number: str) -> None:
    """Deploy a model on the endpoint under a number."""
    order = EndpointOrder(
        kind=OperationKind.DEPLOY,
        endpoint=SHOP,
        model=model,
        deployed_model_id=number,
        resources=Resources(max_replicas=1),
    )
    await done(endpoints, await endpoints.deploy(SHOP, checked(order), {}))


async def run(house: House, rows: int = 1) -> Status:
    """Submit rows to the endpoint and go on until nothing more happens."""
    with house.client() as client:
        client.submit([f"Say {row}" for row in range(rows)], model=SHOP, store="results", id="one")
    return await house.until_rest("one")


async def test_jobs_name_the_model_behind_an_endpoint(house: House, endpoints: Endpoints) -> None:
    """Google takes models only; the batch keeps what was found, the submission what was asked for."""
    await deploy(endpoints, "17", "1")

    status = await run(house)

    (create,) = house.simulator.accepted
    (batch,) = house.services.ledger.batches("one")
    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 1)
    assert create.model == batch.model
    assert create.model.partition("@")[0].endswith("/locations/us-central1/models/17")
    assert house.services.ledger.submission("one").model == SHOP


async def test_what_was_found_is_kept_when_staging_breaks_off(house: House, endpoints: Endpoints) -> None:
    """The endpoint has got another model meanwhile: all batches go to the one that the first was made for."""
    await deploy(endpoints, "17", "1")
    small = house.with_options(batch_rows=1)
    gone = Fault(method="storage.objects.insert", action=Action.REFUSE, match="00001", status=403)
    small.simulator.faults.add(gone)
    assert (await run(small, rows=2)).state is SubmissionState.PARKED
    assert len(house.services.ledger.batches("one")) == 1

    await deploy(endpoints, "18", "2")
    await done(endpoints, await endpoints.undeploy(SHOP, "1", {}))
    status = await run(small, rows=2)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 2)
    assert len({create.model for create in house.simulator.accepted}) == 1
    assert "models/17" in house.simulator.accepted[0].model


async def test_an_endpoint_that_serves_nothing_is_refused(house: House, endpoints: Endpoints) -> None:
    """With what to do, and before anything is uploaded."""
    status = await run(house)

    assert status.state is SubmissionState.REJECTED
    assert "no model is deployed to the endpoint shop; deploy one" in status.reason
    assert house.simulator.faults.log("storage.objects.insert") == []


async def test_an_endpoint_with_two_models_is_refused(house: House, endpoints: Endpoints) -> None:
    """A job runs one model; the sentence names both."""
    await deploy(endpoints, "17", "1")
    await deploy(endpoints, "18", "2")

    status = await run(house)

    assert status.state is SubmissionState.REJECTED
    assert "2 different models are deployed to the endpoint shop" in status.reason
    assert "models/17" in status.reason
    assert "models/18" in status.reason


async def test_an_endpoint_that_is_not_there_waits_for_somebody(house: House) -> None:
    """It may be made yet; enqueued again the submission goes on."""
    status = await run(house)

    assert status.state is SubmissionState.PARKED
    assert "shop" in status.reason
