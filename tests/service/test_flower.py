"""Flower beside a worker: it sees our tasks by name, from events alone."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.crew import NODE, Crew
from vertexq.embedded.process import Child, Command, await_true, free_port
from worker.stack import ROOT


@pytest.fixture
def flower(crew: Crew, worker_environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Run Flower as ``make flower`` does and return its address."""
    port = free_port()
    options = ("--address=127.0.0.1", f"--port={port}", "--read_only=True", "--logging=error")
    child = Child(
        Command(
            args=[sys.executable, "-m", "celery", "-A", "worker", "-q", "flower", *options],
            log=tmp_path / "flower.log",
            cwd=ROOT,
            env={**os.environ, **worker_environment},
        )
    )
    yield f"http://127.0.0.1:{port}"
    child.stop(grace_s=5)


def metrics(address: str) -> str:
    """Return what Flower has counted so far; nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310  (our own address)
            text: str = answer.read().decode()
            return text
    except urllib.error.URLError:
        return ""


def test_flower_sees_tasks_and_workers(crew: Crew, flower: str) -> None:
    """Remote control is off: names, states and the worker come from events."""
    seen = f'flower_events_total{{task="vertexq.sweep",type="task-succeeded",worker="{NODE}"}}'

    assert await_true(lambda: crew.sweeps() and seen in metrics(flower), timeout_s=40), metrics(flower)
