"""Orders to endpoints: what fits, what is decided from how an endpoint looks, and what a message may hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vertexq.endpoint_orders import check_split, checked, from_message, in_place, to_message, with_model_id
from vertexq.endpoints import DeployedModel, Endpoint, EndpointOrder, OperationKind
from vertexq.errors import BadInput
from vertexq.steps.endpoint_plans import Call, Done, Wrong, moved_to_others, plan

NAME = "projects/p/locations/us-central1/endpoints/shop"
DEPLOY = EndpointOrder(kind=OperationKind.DEPLOY, endpoint=NAME, model="17")
DELETE = EndpointOrder(kind=OperationKind.DELETE, endpoint="shop", force=True)


def endpoint(**traffic: int) -> Endpoint:
    """Return an endpoint with a model for each share; names are ``m1`` for the id 1."""
    split = {name.removeprefix("m"): share for name, share in traffic.items()}
    deployed = tuple(DeployedModel(id=one, model=f"projects/9/locations/l/models/{one}") for one in split)
    return Endpoint(name=NAME, display_name="shop", deployed=deployed, traffic=split)


def test_a_short_model_gets_its_place() -> None:
    """From the endpoint's full name, or from the worker that takes the order."""
    full = "projects/p/locations/us-central1/models/17"
    alone = checked(replace(DEPLOY, endpoint="shop"))

    assert checked(DEPLOY).model == full
    assert (alone.model, in_place(alone, "p", "us-central1").model) == ("17", full)
    with pytest.raises(BadInput, match="not in 'global'"):
        in_place(alone, "p", "global")


def test_a_name_and_a_place_that_differ_are_refused() -> None:
    """A full name says where the endpoint is."""
    with pytest.raises(BadInput, match="in the location us-central1, not in europe-west4"):
        checked(replace(DEPLOY, location="europe-west4"))


def test_a_model_gets_an_id_that_the_order_decides() -> None:
    """Ten digits, the same each time; one that was chosen stays."""
    made = with_model_id(checked(DEPLOY), "o-1").deployed_model_id

    assert (len(made), made.isdecimal(), made[0] != "0") == (10, True, True)
    assert with_model_id(checked(DEPLOY), "o-1").deployed_model_id == made
    assert with_model_id(checked(DEPLOY), "o-2").deployed_model_id != made
    assert with_model_id(replace(DEPLOY, deployed_model_id="5"), "o-1").deployed_model_id == "5"


def test_a_message_is_the_order_again() -> None:
    """And anything else is none: an unknown field, a wrong type, a bad id."""
    order = with_model_id(checked(DEPLOY), "o-1")
    message = to_message("o-1", order)

    assert from_message(message) == ("o-1", order)
    for wrong in (
        {**message, "id": "../x"},
        {**message, "order": {**message["order"], "colour": "red"}},
        {**message, "order": {**message["order"], "traffic": {"0": "all"}}},
        {"id": "o-1"},
    ):
        with pytest.raises(BadInput, match="this is no order"):
            from_message(wrong)


@given(some.dictionaries(some.integers(1, 10**9).map(str), some.integers(0, 100), max_size=5))
def test_a_split_sums_to_a_hundred_or_is_refused(traffic: dict[str, int]) -> None:
    """Or is empty, which leaves things as they are."""
    if not traffic or sum(traffic.values()) == 100:
        check_split(traffic, new=False)
    else:
        with pytest.raises(BadInput, match=f"sums to {sum(traffic.values())}, and must sum to 100"):
            check_split(traffic, new=False)


@given(some.lists(some.integers(1, 40), min_size=2, max_size=6), some.data())
def test_traffic_of_a_model_that_goes_is_given_to_others(shares: list[int], data: some.DataObject) -> None:
    """Nothing gets lost, and only one of the others changes."""
    traffic = {str(number): share for number, share in enumerate(shares)}
    gone = data.draw(some.sampled_from(sorted(traffic)))

    left = moved_to_others(traffic, gone)

    assert sum(left.values()) == sum(shares)
    assert gone not in left
    assert sum(left[name] != traffic[name] for name in left) == 1


def test_a_forced_delete_goes_step_by_step() -> None:
    """Models first, each one's share to the one with most; then the endpoint; then it is done."""
    two, one = plan(DELETE, endpoint(m1=30, m2=70)), plan(DELETE, endpoint(m2=100))

    assert two == Call(
        kind=OperationKind.UNDEPLOY, deployed_model_id="1", traffic={"2": 100},
        said="2 models are to be undeployed first",
    )  # fmt: skip
    assert one == Call(kind=OperationKind.UNDEPLOY, deployed_model_id="2")
    assert plan(DELETE, endpoint()) == Call(kind=OperationKind.DELETE)
    assert plan(DELETE, None) == Done(said="the endpoint is not there")


def test_an_id_of_another_model_is_not_taken_for_ours() -> None:
    """The model is compared by its own id: Google writes the project's number."""
    ours = replace(checked(DEPLOY), deployed_model_id="17")

    assert plan(ours, endpoint(m17=100)) == Done(said="the model is deployed")
    assert isinstance(plan(replace(ours, deployed_model_id="5"), endpoint(m5=100)), Wrong)
    assert isinstance(plan(ours, None), Wrong)


def test_a_second_model_gets_nothing_unless_it_is_said() -> None:
    """The first gets everything."""
    ours = replace(checked(DEPLOY), deployed_model_id="5")

    first, second = plan(ours, endpoint()), plan(ours, endpoint(m1=100))

    assert (isinstance(first, Call), isinstance(second, Call)) == (True, True)
    assert first == Call(kind=OperationKind.DEPLOY, traffic={"0": 100})
    assert isinstance(second, Call)
    assert (second.traffic, "gets no requests" in second.said) == ({}, True)
