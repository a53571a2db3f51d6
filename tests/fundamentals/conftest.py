"""Houses for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from tests.fundamentals.house import House, built
from vertexq import Client
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


@pytest_asyncio.fixture
async def asking(house: House, valkey_url: str) -> AsyncIterator[Client]:
    """Give a client that may ask Google, with a Redis for the limits."""
    environ = house.environ() | {
        "VERTEXQ_BROKER_URL": valkey_url,
        "VERTEXQ_VERTEX_ENDPOINT": house.simulator.url,
        "GOOGLE_CLOUD_PROJECT": "demo",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
    }
    with Client(environ=environ) as client:
        yield client
