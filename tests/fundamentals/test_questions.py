"""Questions: one row answered at once, in the form of a batch's row and of its result."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from tests.fundamentals.endpoint_house import brisk, ended
from tests.fundamentals.house import House
from vertexq import Client
from vertexq.errors import BadInput, BadSource, Refused
from vertexq.results import Outcome, Result
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault

GEMINI, EMBEDDING = "gemini-2.5-flash", "gemini-embedding-001"


async def generated(client: Client, row: str | Mapping[str, Any], model: str = GEMINI) -> Result:
    """Ask from a thread, as a program does that is not asynchronous."""
    return await asyncio.to_thread(client.endpoints.generate, model, row)


async def embedded(client: Client, model: str, **parameters: object) -> Result:
    """Have one text embedded."""
    ask = partial(client.endpoints.embed, model, "a text", parameters=parameters)
    return await asyncio.to_thread(ask)


async def test_a_prompt_is_answered_at_the_online_price(house: House, asking: Client) -> None:
    """Twice what a batch costs, with the same fields."""
    said = await generated(asking, "Name a colour.")

    price = house.services.prices.price_of(GEMINI, house.services.ledger.now().date(), online=True)
    assert (said.ok, bool(said.text), price is not None) == (True, True, True)
    assert said.prompt_tokens is not None
    assert said.output_tokens is not None
    assert price is not None
    paid = said.prompt_tokens * price.input_pusd + (said.output_tokens + (said.thoughts_tokens or 0)) * (
        price.output_pusd
    )
    assert said.cost_usd == pytest.approx(paid / 10**12)
    assert len(house.simulator.online_calls) == 1


@pytest.mark.parametrize(
    ("model", "parameters", "numbers"),
    [(EMBEDDING, {"dimensions": 256}, 256), ("text-embedding-005", {"task_type": "RETRIEVAL_QUERY"}, 768)],
)
async def test_a_text_is_embedded(
    asking: Client, model: str, parameters: dict[str, object], numbers: int
) -> None:
    """Whichever of Google's methods the model answers."""
    found = await embedded(asking, model, **parameters)

    assert (found.ok, len(found.embedding or [])) == (True, numbers)
    assert found.embedding_norm is not None


async def test_the_endpoint_of_a_tuned_model_is_asked(house: House, asking: Client) -> None:
    """By its full name; the model's own name says whom to ask instead."""
    house.simulator.models.add("4711", kind="tuned")
    place = "projects/demo/locations/us-central1"
    busy = brisk(house)
    await ended(busy, asking.endpoints.create("shop"))
    await ended(busy, asking.endpoints.deploy("shop", "4711"))

    said = await generated(asking, "Name a colour.", f"{place}/endpoints/shop")
    with pytest.raises(BadInput, match="answers through an endpoint"):
        await generated(asking, "Name a colour.", f"{place}/models/4711")

    assert (said.ok, len(house.simulator.online_calls)) == (True, 1)


@pytest.mark.parametrize(
    ("model", "row", "error", "why"),
    [
        (EMBEDDING, "a text", BadInput, "does not answer generateContent"),
        (GEMINI, {"contents": [{"role": "nobody", "parts": [{"text": "x"}]}]}, BadSource, "the role must be"),
        (GEMINI, {"colour": "red"}, BadSource, "a Gemini row has one of"),
        ("publishers/anthropic/models/claude-sonnet-4-5", "hi", BadInput, "does not answer"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    house: House,
    asking: Client,
    model: str,
    row: str | dict[str, Any],
    error: type[Exception],
    why: str,
) -> None:
    """Before anything is sent, with what is wrong."""
    with pytest.raises(error, match=why):
        await generated(asking, row, model)

    assert house.simulator.online_calls == []


async def test_what_google_refuses_has_failed_and_costs_nothing(house: House, asking: Client) -> None:
    """With its words; when nobody may call it is an error of the call."""
    house.simulator.behaviours.set(Behaviour(bad_rows=1.0), match="online")
    failed = await generated(asking, "Name a colour.")
    house.simulator.faults.add(Fault(method="*generateContent", action=Action.REFUSE, status=403))
    with pytest.raises(Refused):
        await generated(asking, "Name a colour.")

    assert (failed.outcome, failed.error_code, failed.cost_usd) == (Outcome.FAILED, 400, None)
