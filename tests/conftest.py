"""What tests share: a clean environment, and real servers that are started once for each test process."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from vertexq.embedded import Postgres, Valkey
from vertexq.testing import postgres_server, valkey_server

FOREIGN = ("VERTEXQ_", "GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "CELERY_")

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every process begin with its share of the tests that take minutes, which mostly wait.

    pytest-xdist hands each of its processes one part of the list, in order.
    """
    long = [item for item in items if item.get_closest_marker("timeout")]
    others = [item for item in items if not item.get_closest_marker("timeout")]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = -(-len(others) // processes)
    items[:] = [
        item
        for number in range(processes)
        for item in [*long[number::processes], *others[number * share : (number + 1) * share]]
    ]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of whoever runs the tests reach them."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL for this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def new_postgres_url(postgres: Postgres) -> Callable[[], str]:
    """Return what makes an empty database of the test's own and returns its URL."""

    def new() -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        return postgres.database_url(name)

    return new


@pytest.fixture
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """Return the URL of an empty database of the test's own."""
    return new_postgres_url()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Run a Valkey for this test process."""
    with valkey_server() as server:
        yield server


@pytest.fixture
def valkey_url(valkey: Valkey) -> str:
    """Return the URL, for Celery, of a Valkey that holds nothing."""
    with valkey.connect() as client:
        client.flushall()
    return valkey.url
