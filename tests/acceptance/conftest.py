"""The whole application, as real processes: Valkey, simulator, worker, beat."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.families_house import FamiliesHouse, built
from worker.stack import Stack


@contextmanager
def running(home: Path, **settings: str) -> Generator[Stack]:
    """Run a stack and stop it again, whatever happened."""
    stack = Stack(home, settings=settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run one stack for the tests of a file; they use submissions of their own."""
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture
def postgres_stack(tmp_path: Path, postgres_url: str) -> Iterator[Stack]:
    """Run a stack whose ledger and store are in PostgreSQL."""
    with running(tmp_path, VERTEXQ_LEDGER_URL=postgres_url, VERTEXQ_STORE_RESULTS=postgres_url) as started:
        yield started


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FamiliesHouse]:
    """Run one house for the tests of all model families; they use submissions of their own."""
    with built(tmp_path_factory.mktemp("families")) as house:
        yield house
