"""A real worker beside a real broker, with a Google that takes calls and never answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.crew import Crew, start_worker
from vertexq.embedded import Valkey


@pytest.fixture
def silent_google() -> Iterator[str]:
    """Return the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey that the test may kill."""
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def worker_environment(tmp_path: Path, own_valkey: Valkey, silent_google: str) -> dict[str, str]:
    """Return the variables of a worker whose calls to Google hang for a while."""
    return {
        "VERTEXQ_HOME": str(tmp_path),
        "VERTEXQ_BROKER_URL": own_valkey.url,
        "VERTEXQ_STAGING": "gs://bucket/prefix",
        "VERTEXQ_VERTEX_ENDPOINT": silent_google,
        "STORAGE_EMULATOR_HOST": silent_google,
        "GOOGLE_CLOUD_PROJECT": "project",
        "VERTEXQ_STORE_RESULTS": f"sqlite:///{tmp_path}/results.db",
        "VERTEXQ_REQUEST_DEADLINE_S": "1",
        "VERTEXQ_RESEND_AFTER_S": "600",
    }


@pytest.fixture
def crew(tmp_path: Path, worker_environment: dict[str, str]) -> Iterator[Crew]:
    """Run a worker with one process."""
    started = start_worker(tmp_path, worker_environment, "-c", "1")
    yield started
    started.close()
