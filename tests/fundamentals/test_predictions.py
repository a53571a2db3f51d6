"""Predictions: images of AutoML models answered at once, within Google's limit and at the right host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fundamentals.endpoint_house import brisk, ended
from tests.fundamentals.house import House
from vertexq import Client
from vertexq.endpoints import OperationState
from vertexq.errors import BadInput, NotFound
from vertexq.predictions import Prediction, image, labels_of

SMALL = b"\xff\xd8 not much of a flower"


@pytest.fixture
def flower(tmp_path: Path) -> Path:
    """Write an image."""
    path = tmp_path / "flower.jpg"
    path.write_bytes(SMALL)
    return path


@pytest.fixture
def asking(house: House, asking: Client) -> Client:
    """Let there be an AutoML model ``flowers``."""
    house.simulator.models.add("flowers", kind="automl-image", display_name="flowers")
    return asking


async def serve(house: House, client: Client, *, dedicated: bool = False) -> str:
    """Deploy the model on an endpoint, and return its id there."""
    brisk_house = brisk(house)
    await ended(brisk_house, client.endpoints.create("shop", dedicated=dedicated))
    deployed = await ended(brisk_house, client.endpoints.deploy("shop", "flowers"))
    assert deployed.state is OperationState.DONE
    return deployed.deployed_model_id


async def predicted(client: Client, *images: dict[str, object], **parameters: object) -> Prediction:
    """Ask from a thread, as a program does that is not asynchronous."""
    return await asyncio.to_thread(client.endpoints.predict, "shop", list(images), parameters=parameters)


async def test_an_image_gets_labels_at_once(house: House, asking: Client, flower: Path) -> None:
    """The likeliest first, as many as asked for; the same image gets the same labels."""
    model_id = await serve(house, asking)

    said = await predicted(asking, image(flower), image(SMALL), maxPredictions=3)

    first, second = map(labels_of, said.predictions)
    assert (len(first), first == second, said.deployed_model_id) == (3, True, model_id)
    shares = [float(str(one["confidence"])) for one in first]
    assert shares == sorted(shares, reverse=True)
    assert len(house.simulator.online_calls) == 1


async def test_a_dedicated_endpoint_is_asked_at_its_own_host(
    house: House, asking: Client, flower: Path
) -> None:
    """The shared one would refuse."""
    await serve(house, asking, dedicated=True)
    endpoint = await asyncio.to_thread(asking.endpoints.get, "shop")

    said = await predicted(asking, image(flower))

    assert endpoint.dedicated_dns.startswith("localhost:")
    assert labels_of(said.predictions[0])


async def test_an_image_over_the_limit_is_refused_before_anything_is_sent(
    house: House, asking: Client, tmp_path: Path
) -> None:
    """The sentence has both sizes; so it is with many that are too much together."""
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(1_200_000))
    before = len(house.simulator.faults.log())

    with pytest.raises(BadInput, match=r"large.jpg has 1,200,000 bytes, which are 1,600,100 .* 1,500,000"):
        image(large)
    with pytest.raises(BadInput, match="at most 1,500,000"):
        await predicted(asking, image(bytes(800_000)), image(bytes(800_000)))
    with pytest.raises(BadInput, match="is empty"):
        image(b"")

    assert len(house.simulator.faults.log()) == before


async def test_an_endpoint_that_is_not_there_is_said_to_be(asking: Client) -> None:
    """In Google's words; a place without endpoints is a mistake of ours."""
    with pytest.raises(NotFound, match="does not exist"):
        await predicted(asking, image(SMALL))
    with pytest.raises(BadInput, match="not in 'global'"):
        asking.endpoints.get("shop", location="global")


def test_lists_that_do_not_fit_together_are_no_labels() -> None:
    """Neither ids nor names can be trusted then."""
    assert labels_of({"ids": ["1"], "displayNames": [], "confidences": [0.5]}) == []
