"""The demonstration: it works, it cleans up, and nothing that an earlier one left behind disturbs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vertexq.embedded.process import await_true
from worker import pids
from worker.stack import ROOT, Recorded, recorded

ALL = ["valkey", "simulator", "worker", "beat"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return an empty directory in which demonstrations run."""
    return tmp_path / "a place with spaces"


def local(place: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ``python -m worker.local``."""
    place.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "worker.local", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """Return all that a process printed, once it has ended."""
    output, _ = process.communicate(timeout=100)
    return output


def test_a_kept_demo_serves_a_second_one_until_it_is_stopped(place: Path) -> None:
    """--keep prints what to do next; a second demo uses what runs; down stops all of it."""
    kept = local(place, "demo", "--keep", "--rows", "20")
    first = said(kept)
    running = recorded(place / ".vertexq" / "demo")
    second = said(local(place, "demo", "--rows", "10"))
    down = said(local(place, "down"))

    assert kept.returncode == 0, first
    assert [one["name"] for one in running] == ALL
    assert "make flower" in first
    assert "is running already" in second
    assert "is done" in second
    assert "Stopped beat, worker, simulator, valkey" in down
    assert not any(still(one) for one in running)
    assert said(local(place, "down")) == "Nothing was running.\n"


def test_a_killed_demo_leaves_nothing_that_disturbs_the_next(place: Path) -> None:
    """After kill -9 the next demo finds leftovers, stops them, works, and stops everything."""
    killed = local(place, "demo", "--rows", "20000")
    home = place / ".vertexq" / "demo"
    assert await_true(lambda: len(recorded(home)) == len(ALL), timeout_s=60)
    left = recorded(home)
    killed.kill()
    killed.communicate()

    next_one = local(place, "demo", "--rows", "10")
    output = said(next_one)

    assert next_one.returncode == 0, output
    assert "succeeded                   10 rows" in output
    assert "Everything was stopped" in output
    assert not any(still(one) for one in left)
    assert recorded(home) == []


def test_a_polite_end_stops_everything(place: Path) -> None:
    """SIGTERM (a closed terminal, Ctrl-C) in the middle: every process is stopped in order."""
    ended = local(place, "up")
    home = place / ".vertexq" / "local"
    assert await_true(lambda: len(recorded(home)) == len(ALL), timeout_s=60)
    running = recorded(home)

    ended.terminate()
    output = said(ended)

    assert ended.returncode == 130, output
    assert "Everything was stopped" in output
    assert not any(still(one) for one in running)


def still(one: Recorded) -> bool:
    """Tell whether a process still runs."""
    return pids.same(one["pid"], one["mark"])
