"""Simulated endpoints and our client of them: both speak as the discovery document describes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.prompt_objects import fetch
from tests.contract.recording_proxy import Recording
from vertexq.endpoint_orders import checked
from vertexq.endpoints import EndpointOrder, LongOperation, OperationKind, Resources
from vertexq.errors import Ambiguous, NotFound, Refused, Unavailable
from vertexq.google.auth import Tokens
from vertexq.google.endpoints import Endpoints
from vertexq.google.messages import mapping
from vertexq.google.rest import Transport
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link
from vertexq.limits.restraint import SharedRestraint
from vertexq.limits.shape import shapes
from vertexq.limits.shared import SharedLimits
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.testing.simulator import running_simulator

PARENT = "projects/my-project/locations/us-central1"
NAME = f"{PARENT}/endpoints/shop"
CREATE = checked(
    EndpointOrder(kind=OperationKind.CREATE, endpoint=NAME, display_name="the shop", labels={"team": "red"})
)
DEPLOY = checked(
    EndpointOrder(
        kind=OperationKind.DEPLOY,
        endpoint=NAME,
        model="17",
        deployed_model_id="4711",
        resources=Resources(max_replicas=2),
    )
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a simulator whose operations take milliseconds."""
    with running_simulator(timing=Timing.fast()) as running:
        yield running


@pytest_asyncio.fixture
async def endpoints(proxy: Recording) -> AsyncIterator[Endpoints]:
    """Give our client, through the proxy."""
    async with Transport(Tokens()) as transport:
        yield Endpoints(transport, endpoint=proxy.url)


async def done(endpoints: Endpoints, begun: LongOperation) -> LongOperation:
    """Return the operation when it is done."""
    while not (now := await endpoints.operation(begun.name)).done:
        pass
    return now


async def made(endpoints: Endpoints) -> None:
    """Create the endpoint and deploy a model on it."""
    await done(endpoints, await endpoints.create(CREATE))
    await done(endpoints, await endpoints.deploy(NAME, DEPLOY, {"0": 100}))


async def test_an_endpoint_goes_through_its_life(endpoints: Endpoints) -> None:
    """Created, found by its name, a model deployed and taken off again, deleted."""
    created = await done(endpoints, await endpoints.create(CREATE))
    deployed = await done(endpoints, await endpoints.deploy(NAME, DEPLOY, {"0": 100}))
    [found] = [
        one async for one in endpoints.list(*PARENT.split("/")[1::2], filter='display_name="the shop"')
    ]
    await done(endpoints, await endpoints.undeploy(NAME, "4711", {}))
    empty = await endpoints.get(NAME)
    deleted = await done(endpoints, await endpoints.delete(NAME))

    assert (created.kind, created.error, deployed.kind) == ("CreateEndpoint", "", "DeployModel")
    assert (deployed.stage, deployed.deployed_model_id) == ("SUCCESSFULLY_DEPLOYED", "4711")
    assert (found.id, found.display_name, found.traffic) == ("shop", "the shop", {"4711": 100})
    assert found.deployed[0].resources == {"automaticResources": {"minReplicaCount": 1, "maxReplicaCount": 2}}
    assert (empty.deployed, dict(empty.traffic), dict(empty.labels)) == ((), {}, {"team": "red"})
    assert empty.etag != found.etag
    assert deleted.done
    with pytest.raises(NotFound):
        await endpoints.get(NAME)


async def test_operations_are_known_by_both_of_their_names(endpoints: Endpoints) -> None:
    """Below the endpoint and below the location; the endpoint's list has them, the newest first."""
    await made(endpoints)
    listed = [one async for one in endpoints.operations(NAME)]
    short = f"{PARENT}/operations/{listed[0].name.rpartition('/')[2]}"

    assert [one.kind for one in listed] == ["DeployModel", "CreateEndpoint"]
    assert (await endpoints.operation(short)).name == listed[0].name
    with pytest.raises(NotFound):
        await endpoints.operation(f"{NAME}/operations/1")


async def test_what_google_would_refuse_is_refused(endpoints: Endpoints) -> None:
    """A used id, an unknown endpoint, a used model id, a split of 90, deletion with a model on it."""
    await made(endpoints)
    other = replace(DEPLOY, deployed_model_id="4712")

    for call, word in (
        (endpoints.create(CREATE), "ALREADY_EXISTS"),
        (endpoints.deploy(NAME.replace("shop", "gone"), DEPLOY, {}), "NOT_FOUND"),
        (endpoints.deploy(NAME, DEPLOY, {}), "INVALID_ARGUMENT"),
        (endpoints.deploy(NAME, other, {"0": 60, "4711": 30}), "INVALID_ARGUMENT"),
        (endpoints.deploy(NAME, other, {"0": 60, "99": 40}), "INVALID_ARGUMENT"),
        (endpoints.delete(NAME), "FAILED_PRECONDITION"),
    ):
        with pytest.raises(Refused) as raised:
            await call
        assert raised.value.code == word


async def test_an_endpoint_does_one_thing_at_a_time() -> None:
    """While one operation runs another is refused."""
    slow = replace(Timing.fast(), deploy_s=60.0)
    with running_simulator(timing=slow) as simulator:
        async with Transport(Tokens()) as transport:
            client = Endpoints(transport, endpoint=simulator.url)
            await done(client, await client.create(CREATE))
            begun = await client.deploy(NAME, DEPLOY, {"0": 100})

            with pytest.raises(Refused, match="other operations running"):
                await client.delete(NAME)

            assert not (await client.operation(begun.name)).done


async def test_a_deploy_may_fail_and_may_have_partial_failures(endpoints: Endpoints) -> None:
    """The operation ends with an error, or with what went wrong on the way."""
    await done(endpoints, await endpoints.create(CREATE))
    broken = replace(DEPLOY, model=f"{PARENT}/models/broken")
    flaky = replace(DEPLOY, model=f"{PARENT}/models/flaky")

    failed = await done(endpoints, await endpoints.deploy(NAME, broken, {}))
    partly = await done(endpoints, await endpoints.deploy(NAME, flaky, {}))

    assert (failed.error, failed.stage) == ("Model server exited unexpectedly. (code 13)", "FAILED_TO_DEPLOY")
    assert (partly.error, len(partly.failures)) == ("", 1)


async def test_pages_hold_every_endpoint_once(simulator: Simulator, endpoints: Endpoints) -> None:
    """However small they are; a filter that cannot be read is refused."""
    for number in range(5):
        await endpoints.create(replace(CREATE, endpoint=f"shop-{number}", display_name=f"n {number % 2}"))
    while len([one async for one in endpoints.list("my-project", "us-central1")]) < 5:
        pass

    names, token = list[str](), ""
    while page := json.loads(fetch(f"{simulator.url}/v1/{PARENT}/endpoints?pageSize=2&pageToken={token}")):
        names += [one["name"].rpartition("/")[2] for one in page["endpoints"]]
        if not (token := page.get("nextPageToken", "")):
            break
    odd = [one.id async for one in endpoints.list("my-project", "us-central1", filter='display_name="n 1"')]

    assert names == [f"shop-{number}" for number in (4, 3, 2, 1, 0)]
    assert odd == ["shop-3", "shop-1"]
    with pytest.raises(Refused):
        [one async for one in endpoints.list("my-project", "us-central1", filter="colour=red")]


async def test_a_lost_answer_is_unclear_and_not_repeated(simulator: Simulator, endpoints: Endpoints) -> None:
    """The create was accepted, one call was made, and the error says that one has to look."""
    method = "aiplatform.projects.locations.endpoints.create"
    simulator.faults.add(Fault(method=method, action=Action.ACCEPT_THEN_DROP))

    with pytest.raises(Ambiguous, match="may have"):
        await endpoints.create(CREATE)

    assert [one.kind for one in simulator.endpoint_operations] == ["CreateEndpoint"]
    while not [one async for one in endpoints.list("my-project", "us-central1")]:
        pass


async def test_a_patch_with_an_old_etag_is_refused(endpoints: Endpoints, proxy: Recording) -> None:
    """With the present one it changes what its mask names, and the etag."""
    await made(endpoints)
    body = {"displayName": "new", "etag": (await endpoints.get(NAME)).etag}
    url, mask = f"{proxy.url}/v1/{NAME}", {"updateMask": "displayName"}
    async with Transport(Tokens()) as transport:
        answer = await transport.call("PATCH", url, params=mask, json=body, retry=False)
        with pytest.raises(Refused, match="etag"):
            await transport.call("PATCH", url, params=mask, json=body, retry=False)

    after = mapping(answer.json())
    assert (after["displayName"], after["etag"] != body["etag"]) == ("new", True)


async def test_endpoints_outlive_a_restart(tmp_path: Path) -> None:
    """Also the operations: one that was under way goes on."""
    with running_simulator(timing=replace(Timing.fast(), deploy_s=0.3), data_dir=tmp_path) as first:
        async with Transport(Tokens()) as transport:
            client = Endpoints(transport, endpoint=first.url)
            await done(client, await client.create(CREATE))
            begun = await client.deploy(NAME, DEPLOY, {"0": 100})
    with running_simulator(timing=Timing.fast(), data_dir=tmp_path) as second:
        async with Transport(Tokens()) as transport:
            client = Endpoints(transport, endpoint=second.url)
            await done(client, begun)

            assert (await client.get(NAME)).traffic == {"4711": 100}


async def test_reads_keep_to_the_limit_of_all_workers(simulator: Simulator, valkey_url: str) -> None:
    """Endpoints share it with jobs: one read a minute is one read, whoever asks."""
    few = shapes(creates_per_minute=60, reads_per_minute=1, online_per_minute=60, request_deadline_s=60.0)
    async with Link(valkey_url) as link:
        restraint = SharedRestraint(SharedLimits(link, few), RetryBudget(link), project="my-project")
        async with Transport(Tokens(), deadline_s=1.0, restraint=restraint) as transport:
            client = Endpoints(transport, endpoint=simulator.url)
            assert [one async for one in client.list("my-project", "us-central1")] == []

            with pytest.raises(Unavailable, match="limits on calls let none through"):
                await client.get(NAME)
