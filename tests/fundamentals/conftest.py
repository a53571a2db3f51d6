"""Houses for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from tests.fundamentals.house import House, built
from vertexq.simulator.timing import Timing


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Build a house whose jobs take milliseconds."""
    async with built(tmp_path, Timing.fast()) as ready:
        yield ready


@pytest_asyncio.fixture
async def slow_house(tmp_path: Path) -> AsyncIterator[House]:
    """Build a house whose jobs answer 20 rows a second."""
    async with built(tmp_path, replace(Timing.fast(), rows_per_s=20.0)) as ready:
        yield ready
