"""Everything at once, for half a minute: see ``soaking``."""

from __future__ import annotations

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.soaking import faults_of, soaked


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_paid_twice_lost_or_stuck(house: House, seed: int) -> None:
    """Cancels, deadlines, budgets, ids enqueued again, lost answers, dying workers, muddled hints."""
    soak = await soaked(house, seed=seed, submissions=12, share=0.03)

    assert faults_of(soak) == []
    assert soak.kills > 0
