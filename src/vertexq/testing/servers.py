"""Real servers for tests: PostgreSQL and Valkey on free ports, gone when the block ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vertexq.embedded.postgres import Postgres
from vertexq.embedded.valkey import Valkey


@contextmanager
def postgres_server() -> Generator[Postgres]:
    """Run a PostgreSQL without flushes to disk, in a directory of its own that is removed afterwards."""
    with _directory("vertexq-postgres-") as home:
        server = Postgres(home, durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop(immediate=True)


@contextmanager
def valkey_server() -> Generator[Valkey]:
    """Run a Valkey in a directory of its own that is removed afterwards."""
    with _directory("vertexq-valkey-") as home:
        server = Valkey(home)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _directory(prefix: str) -> Generator[Path]:
    home = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield home
    finally:
        shutil.rmtree(home)
