"""A thousand submissions while Google's answers to the paid call get lost: nothing is paid twice or lost."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from benchmarks.thousand import ours
from vertexq.simulator.faults import Action

WANTED = 1000
MEMORY = Path("/dev/shm")  # noqa: S108  (durability is not the point here, and a thousand ledgers sync slowly)


@pytest.mark.timeout(600)
def test_of_a_thousand_creates_none_is_paid_twice_and_none_is_lost() -> None:
    """Of the accepted creates 1 % is cut off, 1 % answered 503, 1 % times out: one job each, all done."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as home:
        tally = asyncio.run(ours(Path(home), submissions=WANTED, share=0.01))

    for action in (Action.ACCEPT_THEN_DROP, Action.ACCEPT_THEN_REFUSE, Action.ACCEPT_THEN_STALL):
        assert tally.fired[action.value] >= 3
    assert (tally.accepted, tally.duplicates, tally.lost) == (WANTED, 0, 0)
    assert tally.done == WANTED
