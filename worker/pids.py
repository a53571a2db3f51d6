"""Processes by id, told apart from later ones with the same id."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from vertexq.embedded.process import await_true

KILLED_S = 5.0


def mark(pid: int) -> str:
    """Return the start of a process, which tells it from later ones with its id; "" when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _asked(pid) if not Path("/proc/self").exists() else ""
    fields = stat.rpartition(")")[2].split()  # after the name, which may hold anything
    return "" if fields[0] in "ZX" else fields[19]


def same(pid: int, known_mark: str) -> bool:
    """Tell whether the process with this id and mark still runs."""
    return bool(known_mark) and mark(pid) == known_mark


def end(pid: int, known_mark: str, *, grace_s: float) -> None:
    """Ask the process to end; after ``grace_s`` seconds kill it and its session."""
    _send(pid, known_mark, signal.SIGTERM)
    if await_true(lambda: not same(pid, known_mark), timeout_s=grace_s):
        return
    os.killpg(pid, signal.SIGKILL)
    await_true(lambda: not same(pid, known_mark), timeout_s=KILLED_S)


def _send(pid: int, known_mark: str, number: signal.Signals) -> None:
    if same(pid, known_mark):
        os.kill(pid, number)


def _asked(pid: int) -> str:
    """Ask ``ps``, where there is no /proc (macOS)."""
    asked = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
