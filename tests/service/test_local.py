"""The demonstration: it works, it cleans up, and nothing that an earlier one left behind disturbs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vertexq.embedded.process import await_true
from worker import pids
from worker.stack import ROOT, Recorded, recorded

ALL = ["valkey", "simulator", "worker", "beat"]


class Place:
    """A directory of its own in which commands are run; whatever still runs at the end is stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.processes: list[subprocess.Popen[str]] = []

    def local(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``python -m worker.local``."""
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.local", *arguments],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def running(self, name: str) -> list[Recorded]:
        """Return the processes of the stack called ``name``."""
        return recorded(self.path / ".vertexq" / name)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return an empty directory in which commands are run."""
    path = tmp_path / "a place with spaces"
    path.mkdir()
    place = Place(path)
    yield place
    for process in place.processes:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    said(place.local("down"))


def said(process: subprocess.Popen[str]) -> str:
    """Return all that a process printed, once it has ended."""
    output, _ = process.communicate(timeout=100)
    return output


def test_a_kept_demo_serves_a_second_one_until_it_is_stopped(place: Place) -> None:
    """--keep prints what to do next; a second demo uses what runs, up is refused, down stops all of it."""
    kept = place.local("demo", "--keep", "--rows", "20")
    first = said(kept)
    running = place.running("demo")
    rights = [(place.path / ".vertexq" / name).stat().st_mode & 0o777 for name in ("", "demo", "demo/logs")]
    second = said(place.local("demo", "--rows", "10"))
    beside = place.local("up")
    refused = said(beside)
    down = said(place.local("down"))

    assert kept.returncode == 0, first
    assert [one["name"] for one in running] == ALL
    assert all(command in first for command in ("make flower", "vertexq watch ID", "vertexq cancel ID"))
    assert rights == [0o700] * 3
    assert "is running already" in second
    assert "is done" in second
    assert second.endswith("Everything keeps running, as before; make down stops it.\n")
    assert (beside.returncode, refused.count("\n")) == (2, 1)
    assert "a demo runs; stop it (make down)" in refused
    assert "Stopped beat, worker, simulator, valkey" in down
    assert not any(still(one) for one in running)
    assert not (place.path / ".vertexq" / "env").exists()
    assert said(place.local("down")) == "Nothing was running.\n"


def test_a_killed_demo_leaves_nothing_that_disturbs_the_next(place: Place) -> None:
    """After kill -9 the next demo finds leftovers, stops them, works, and stops everything."""
    killed = place.local("demo", "--rows", "20000")
    assert await_true(lambda: len(place.running("demo")) == len(ALL), timeout_s=60)
    left = place.running("demo")
    killed.send_signal(signal.SIGSTOP)
    children = psutil.Process(killed.pid).children()
    killed.kill()
    for program in (one for one in children if "examples" in " ".join(one.cmdline())):
        program.kill()  # it may have been begun in this moment, and nobody watches over it yet
    killed.communicate()

    next_one = place.local("demo", "--rows", "10")
    output = said(next_one)

    assert next_one.returncode == 0, output
    assert "succeeded                   10 rows" in output
    assert "Everything was stopped" in output
    assert not any(still(one) for one in left)
    assert place.running("demo") == []


def test_a_polite_end_stops_everything(place: Place) -> None:
    """SIGTERM (a closed terminal, Ctrl-C) in the middle: every process is stopped in order."""
    ended = place.local("up")
    assert await_true(lambda: len(place.running("local")) == len(ALL), timeout_s=60)
    running = place.running("local")
    beside = place.local("demo", "--rows", "10")
    refused = said(beside)

    ended.terminate()
    output = said(ended)

    assert beside.returncode == 2
    assert "make up runs; stop it" in refused
    assert ended.returncode == 130, output
    assert "Everything was stopped" in output
    assert not any(still(one) for one in running)


def still(one: Recorded) -> bool:
    """Tell whether a process still runs."""
    return pids.same(one["pid"], one["mark"])
