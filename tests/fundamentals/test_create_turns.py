"""A turn to create is good for two seconds: whoever comes later takes another before it pays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from tests.contract.ledger_values import running
from tests.fundamentals.house import House
from vertexq import steps
from vertexq.limits.base import GRANT_GOOD_S, CallClass
from vertexq.model import Batch
from vertexq.states import BatchState
from vertexq.testing.limits import NoLimits


@dataclass
class LateGrants(NoLimits):
    """Says yes only when the grant is too old already, and what it is told to from then on."""

    then_s: list[float] = field(default_factory=list[float])
    asked: int = 0

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Take one call."""
        del project, location
        if call is not CallClass.CREATE:
            return 0.0
        self.asked += 1
        if self.asked == 1:
            await asyncio.sleep(GRANT_GOOD_S + 0.05)
            return 0.0
        return self.then_s.pop(0) if self.then_s else 0.0


async def created(house: House, late: LateGrants) -> Batch:
    """Run the create step once on a ready batch."""
    ledger = house.services.ledger
    (batch,) = running(ledger)
    await steps.create(replace(house.services, limits=late), batch.id)
    return ledger.batch(batch.id)


async def test_a_turn_that_passed_is_taken_anew(house: House) -> None:
    """The intent is committed and the call waits for the second grant."""
    late = LateGrants()
    batch = await created(house, late)

    assert (late.asked, batch.state, batch.attempt) == (2, BatchState.BOUND, 1)
    assert len(house.simulator.accepted) == 1


async def test_without_another_turn_nothing_is_sent(house: House) -> None:
    """The attempt is taken back, and the batch comes again by itself."""
    batch = await created(house, LateGrants(then_s=[60.0]))

    assert (batch.state, batch.attempt, house.simulator.accepted) == (BatchState.READY, 0, [])
    assert batch.next_action_at is not None
    assert "turn was over" in batch.reason


@pytest.mark.parametrize("waits_s", [None, 60.0])
async def test_a_hint_that_comes_twice_jumps_no_turn_and_no_wait(house: House, waits_s: float | None) -> None:
    """A batch that waits for its turn, or after a 429, is not sent because of an old hint."""
    ledger = house.services.ledger
    (batch,) = running(ledger)
    at = None if waits_s is None else ledger.now() + timedelta(seconds=waits_s)
    ledger.update_batch(batch, next_action_at=at)

    await steps.create(house.services, batch.id)

    assert ledger.batch(batch.id).state is BatchState.READY
    assert house.simulator.accepted == []
