"""What tests of endpoints share: an endpoint with a model on it, and what Google has accepted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.fundamentals.house import House
from vertexq.endpoints import Operation
from vertexq.retry import Backoff
from vertexq.simulator.faults import Action, Fault

METHODS = "aiplatform.projects.locations.endpoints"
MODEL = "projects/demo/locations/us-central1/models/4711"


def brisk(house: House) -> House:
    """Return the same house; operations are looked at, and failures tried again, within milliseconds."""
    options = replace(
        house.services.options, operation_look_s=0.02, backoff=Backoff(first_s=0.05, longest_s=0.2)
    )
    return replace(house, services=replace(house.services, options=options))


def accepted(house: House) -> Counter[str]:
    """Return how often the simulated Google has begun each kind of operation."""
    return Counter(one.kind for one in house.simulator.endpoint_operations)


async def ended(house: House, operation: Operation) -> Operation:
    """Go on until an operation is done or has failed."""
    ledger = house.services.ledger
    await house.until(lambda: ledger.operation(operation.id).resting)
    return ledger.operation(operation.id)


async def with_a_model(house: House) -> str:
    """Create the endpoint ``shop``, deploy a model on it, and return the model's id there."""
    with house.client() as client:
        await ended(house, client.endpoints.create("shop", display_name="the shop"))
        deployed = await ended(house, client.endpoints.deploy("shop", MODEL))
    return deployed.deployed_model_id


def fail(house: House, method: str, action: Action, **how: float | None) -> None:
    """Have the next call of a method go wrong."""
    house.simulator.faults.add(Fault(method=f"{METHODS}.{method}", action=action, **how))  # type: ignore[arg-type]
