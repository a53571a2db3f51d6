"""Ledgers to test against: a fresh one for each test, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

import psycopg
import pytest

from vertexq.embedded import Postgres
from vertexq.ledger import Ledger


@pytest.fixture
def postgres_ledger_url(postgres: Postgres) -> str:
    """Return the URL of a schema that nobody has used."""
    schema = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{postgres.url}?options=-csearch_path%3D{schema}"


@pytest.fixture
def sqlite_ledger_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet, in a folder that is not there yet."""
    return f"sqlite:///{tmp_path}/fresh/ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database; every test that asks for it runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param.replace('postgresql', 'postgres')}_ledger_url")
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """Open a fresh ledger."""
    opened = Ledger.open(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def processes() -> Iterator[Pool]:
    """Start four processes that race against one another; they import vertexq once."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield pool
