"""Endpoints: orders are checked, carried out once whatever is lost, and followed to their end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fundamentals.endpoint_house import MODEL, accepted, brisk, ended, fail, with_a_model
from tests.fundamentals.house import House, built
from vertexq import AsyncClient
from vertexq.endpoints import OperationState, Resources
from vertexq.errors import BadInput, IdConflict, NotDone, UnknownOperation
from vertexq.simulator.faults import Action
from vertexq.simulator.timing import Timing

DONE, FAILED = OperationState.DONE, OperationState.FAILED


@pytest.fixture
def house(house: House) -> House:
    """Build a house that wastes no time."""
    return brisk(house)


async def test_an_endpoint_is_created_served_and_deleted(house: House) -> None:
    """Four orders, four operations of Google's, each followed to its end."""
    with house.client() as client:
        desk = client.endpoints
        created = await ended(house, desk.create("shop", display_name="the shop", labels={"team": "red"}))
        deployed = await ended(house, desk.deploy("shop", "4711", resources=Resources(max_replicas=3)))
        endpoint = await house.services.endpoints.get(deployed.name)
        undeployed = await ended(house, desk.undeploy("shop", deployed.deployed_model_id))
        deleted = await ended(house, desk.delete("shop"))

    assert [one.state for one in (created, deployed, undeployed, deleted)] == [DONE] * 4
    assert deployed.stage == "SUCCESSFULLY_DEPLOYED"
    assert (endpoint.display_name, endpoint.traffic) == ("the shop", {deployed.deployed_model_id: 100})
    assert [one.model for one in endpoint.deployed] == [MODEL]
    assert accepted(house) == {"CreateEndpoint": 1, "DeployModel": 1, "UndeployModel": 1, "Delete": 1}


async def test_two_creates_make_one_endpoint(house: House) -> None:
    """The same id and name is the endpoint that is there; another name under that id is a mistake."""
    with house.client() as client:
        first = await ended(house, client.endpoints.create("shop"))
        again = await ended(house, client.endpoints.create("shop"))
        other = await ended(house, client.endpoints.create("shop", display_name="another"))

    assert (first.state, again.state, again.reason) == (DONE, DONE, "the endpoint is there")
    assert (other.state, "it is called 'shop'" in other.reason) == (FAILED, True)
    assert accepted(house) == {"CreateEndpoint": 1}


async def test_an_order_with_an_id_is_one_order(house: House) -> None:
    """However often it is given; with other content it is a conflict."""
    with house.client() as client:
        first = client.endpoints.create("shop", id="make-shop")
        again = client.endpoints.create("shop", id="make-shop")
        with pytest.raises(IdConflict):
            client.endpoints.create("other", id="make-shop")
        with pytest.raises(UnknownOperation):
            client.endpoints.operation("nobody")

        assert first == again
        assert [one.id for one in client.endpoints.operations()] == ["make-shop"]


@pytest.mark.parametrize("method", ["create", "deployModel", "undeployModel", "delete"])
@pytest.mark.parametrize("action", [Action.ACCEPT_THEN_DROP, Action.ACCEPT_THEN_REFUSE, Action.DROP])
async def test_a_call_whose_answer_is_lost_takes_effect_once(
    house: House, method: str, action: Action
) -> None:
    """The endpoint is looked at before it is called again, whether Google had accepted the call or not."""
    fail(house, method, action)
    model_id = await with_a_model(house)
    endpoint = await house.services.endpoints.get("projects/demo/locations/us-central1/endpoints/shop")
    with house.client() as client:
        await ended(house, client.endpoints.undeploy("shop", model_id))
        deleted = await ended(house, client.endpoints.delete("shop"))

    assert [one.id for one in endpoint.deployed] == [model_id]
    assert deleted.state is DONE
    assert accepted(house) == {"CreateEndpoint": 1, "DeployModel": 1, "UndeployModel": 1, "Delete": 1}


async def test_anothers_deploy_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Ours got lost on its way, somebody else's runs: it is followed, and then ours is sent again."""
    async with built(tmp_path, replace(Timing.fast(), deploy_s=0.5)) as slow:
        house = brisk(slow)
        ledger, google = house.services.ledger, house.services.endpoints
        with house.client() as client:
            made = await ended(house, client.endpoints.create("shop"))
            fail(house, "deployModel", Action.DROP)
            ours = client.endpoints.deploy("shop", MODEL)
            await house.until(lambda: ledger.operation(ours.id).state is OperationState.SENDING)
            theirs = await google.deploy(made.name, replace(ours.order, deployed_model_id="7"), {})
            await house.until(lambda: ledger.operation(ours.id).state is OperationState.RUNNING)
            followed = ledger.operation(ours.id).google_name
            done = await ended(house, ours)

        endpoint = await google.get(made.name)
    assert (followed, done.state) == (theirs.name, DONE)
    assert {one.id for one in endpoint.deployed} == {"7", done.deployed_model_id}


async def test_an_operation_that_google_forgot_is_judged_by_the_endpoint(house: House) -> None:
    """What is there is done; a model that is not is not deployed again by itself."""
    fail(house, "operations.get", Action.REFUSE, status=404)
    with house.client() as client:
        created = await ended(house, client.endpoints.create("shop"))
        fail(house, "operations.get", Action.REFUSE, status=404)
        failed = await ended(house, client.endpoints.deploy("shop", "broken"))

    assert (created.state, accepted(house)) == (DONE, {"CreateEndpoint": 1, "DeployModel": 1})
    assert (failed.state, "order it again" in failed.reason) == (FAILED, True)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_google_is_asked_again(house: House, status: int) -> None:
    """A 429 began nothing; after a 503 one looks first."""
    fail(house, "create", Action.REFUSE, status=status)
    with house.client() as client:
        created = await ended(house, client.endpoints.create("shop"))

    assert (created.state, accepted(house)) == (DONE, {"CreateEndpoint": 1})


async def test_what_google_refuses_ends_the_order_with_its_words(house: House) -> None:
    """A model that is not there; nothing was begun."""
    with house.client() as client:
        await ended(house, client.endpoints.create("shop"))
        failed = await ended(house, client.endpoints.deploy("shop", "does-not-exist"))

    assert (failed.state, accepted(house)["DeployModel"]) == (FAILED, 0)
    assert "does not exist" in failed.reason


async def test_a_deploy_that_fails_says_why(house: House) -> None:
    """In Google's words; one with partial failures succeeds and says those."""
    with house.client() as client:
        await ended(house, client.endpoints.create("shop"))
        failed = await ended(house, client.endpoints.deploy("shop", "broken"))
        partly = await ended(house, client.endpoints.deploy("shop", "flaky"))

    assert (failed.state, failed.stage) == (FAILED, "FAILED_TO_DEPLOY")
    assert "Model server exited unexpectedly. (code 13)" in failed.reason
    assert (partly.state, "A replica did not start" in partly.reason) == (DONE, True)


async def test_orders_for_one_endpoint_follow_one_another(house: House) -> None:
    """Google does one thing at a time on an endpoint; the second waits until it may."""
    with house.client() as client:
        await ended(house, client.endpoints.create("shop"))
        both = [client.endpoints.deploy("shop", MODEL), client.endpoints.deploy("shop", MODEL)]
        ends = [await ended(house, one) for one in both]

    endpoint = await house.services.endpoints.get(ends[0].name)
    assert [one.state for one in ends] == [DONE, DONE]
    assert {one.id for one in endpoint.deployed} == {one.deployed_model_id for one in ends}
    assert sorted(endpoint.traffic.values()) == [100]


async def test_traffic_is_split_and_moved(house: House) -> None:
    """A second model gets its share; one with requests goes only when somebody else gets them."""
    first = await with_a_model(house)
    with house.client() as client:
        desk = client.endpoints
        second = await ended(house, desk.deploy("shop", MODEL, traffic={"0": 20, first: 80}))
        refused = await ended(house, desk.undeploy("shop", first))
        moved = await ended(house, desk.undeploy("shop", first, traffic={second.deployed_model_id: 100}))
        unknown = await ended(house, desk.deploy("shop", MODEL, traffic={"0": 50, "99": 50}))

    assert (refused.state, "80 per cent of the requests" in refused.reason) == (FAILED, True)
    endpoint = await house.services.endpoints.get(moved.name)
    assert (moved.state, endpoint.traffic) == (DONE, {second.deployed_model_id: 100})
    assert (unknown.state, "names 99, which is not deployed" in unknown.reason) == (FAILED, True)


@pytest.mark.parametrize("share", [0, 50, 90, 100])
async def test_an_endpoint_with_models_is_deleted_by_force_only(house: House, share: int) -> None:
    """Without it nothing is sent; with it the models go first, one by one, whoever gets the requests."""
    first = await with_a_model(house)
    with house.client() as client:
        split = {"0": share, first: 100 - share} if share else None
        await ended(house, client.endpoints.deploy("shop", MODEL, traffic=split))
        refused = await ended(house, client.endpoints.delete("shop"))
        deletes = accepted(house)["Delete"]
        forced = await ended(house, client.endpoints.delete("shop", force=True))

    assert (refused.state, deletes, "undeploy them first" in refused.reason) == (FAILED, 0, True)
    assert forced.state is DONE
    assert accepted(house)["UndeployModel"] == 2


REFUSED = {
    "sums to 90, and must sum to 100": {"traffic": {"0": 60, "1": 30}},
    "does not name the new model": {"traffic": {"1": 100}},
    "use 0 to 100": {"traffic": {"0": 130, "1": -30}},
    "at least 3 and at most 2": {"resources": Resources(min_replicas=3, max_replicas=2)},
    "needs a machine type": {"resources": Resources(accelerator_type="NVIDIA_L4", accelerators=1)},
    "1 to 10 digits": {"deployed_model_id": "a"},
    "both must be in one location": {"location": "europe-west4"},
    "not in 'global'": {"location": "global"},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_an_order_that_cannot_be_is_refused_before_anything_is_sent(house: House, sentence: str) -> None:
    """With a sentence; nothing is in the ledger then."""
    with house.client() as client:
        with pytest.raises(BadInput, match=sentence):
            client.endpoints.deploy("shop", MODEL, **REFUSED[sentence])  # type: ignore[arg-type]

        assert client.endpoints.operations() == []


@pytest.mark.parametrize("name", ["Shop", "1shop", "012", "1234567890", "shop-", "a" * 64, "a/B"])
def test_an_id_that_google_does_not_take_is_refused(house: House, name: str) -> None:
    """Letters first, or up to nine digits without a leading zero."""
    with house.client() as client, pytest.raises(BadInput, match="cannot be the id of a new endpoint"):
        client.endpoints.create(name)


async def test_programs_that_are_asynchronous_order_too(house: House) -> None:
    """The same verbs; a wait that runs out leaves the order as it is."""
    async with AsyncClient(environ=house.environ()) as client:
        order = await client.endpoints.create("shop")
        with pytest.raises(NotDone, match="it goes on"):
            await client.endpoints.wait(order.id, timeout_s=0.05)
        await ended(house, order)

        done = await client.endpoints.wait(order.id, timeout_s=5)
        listed = await client.endpoints.operations(endpoint="shop", states=[DONE])

    assert (done.state, [one.id for one in listed]) == (DONE, [order.id])
