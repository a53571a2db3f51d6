"""Child processes: start with a watchdog, wait until ready, stop with a grace, find a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vertexq.embedded import watchdog
from vertexq.errors import Unreachable

POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a server runs as: the numbers of a user and a group."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a child is started. ``log`` gets what it prints; ``user`` is None for our own.

    ``keep_open`` are descriptors that the child inherits. ``end_signal`` asks it to stop cleanly. When we die
    without stopping it, the watchdog sends that signal ``orphan_grace_s`` seconds later.
    """

    args: Sequence[str | Path]
    log: Path
    cwd: Path
    env: Mapping[str, str]
    user: User | None = None
    keep_open: Sequence[int] = ()
    end_signal: signal.Signals = signal.SIGTERM
    orphan_grace_s: float = 0.0


class Child:
    """A started child process, in a session of its own, with its watchdog."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process = _spawn(command)
        self._watchdog = Watchdog(
            self._process.pid, number=command.end_signal, grace_s=command.orphan_grace_s
        )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def running(self) -> bool:
        """Tell whether the process has not ended."""
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code, or None when the process has not ended after ``timeout_s`` seconds."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, grace_s: float = 10.0, first: signal.Signals | None = None) -> int:
        """Ask the process to end, kill it after ``grace_s`` seconds; return its exit code. Safe to repeat."""
        if self.running():
            self._process.send_signal(first or self.command.end_signal)
        code = self.wait(grace_s)
        if code is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # the session is its own: children go with it
            code = self._process.wait()
        self.release()
        return code

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self.release()

    def release(self) -> None:
        """Stand the watchdog down: from now on the process outlives us. Safe to repeat."""
        self._watchdog.stand_down()


class Watchdog:
    """Sends a process a signal some seconds after we have died, unless it is stood down before."""

    def __init__(self, pid: int, *, number: signal.Signals, grace_s: float = 0.0) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (the arguments are ours)
            [sys.executable, "-I", str(watchdog.__file__), str(pid), str(int(number)), str(grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def stand_down(self) -> None:
        """End the watch: from now on the process outlives us. Safe to repeat."""
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            pipe.write(b"q")
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        self._process.wait()


def _spawn(command: Command) -> subprocess.Popen[bytes]:
    user = command.user
    with command.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  (the arguments are ours)
            [str(arg) for arg in command.args],
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=tuple(command.keep_open),
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )


def await_true(condition: Callable[[], bool], *, timeout_s: float) -> bool:
    """Look every 10 ms until ``condition`` holds; return False when it did not in ``timeout_s`` seconds."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def await_ready(child: Child, ready: Callable[[], bool], *, what: str, timeout_s: float) -> None:
    """Wait until ``ready``; raise ``Unreachable`` with the end of the log when that does not come."""
    try:
        done = await_true(lambda: not child.running() or ready(), timeout_s=timeout_s)
        if done and child.running():
            return
    except BaseException:
        child.stop()
        raise
    how = f"did not start within {timeout_s:g} s" if child.running() else "ended while it started"
    child.stop()
    raise Unreachable(f"{what} {how}; its log {child.command.log} ends: {tail(child.command.log)}")


def tail(log: Path, *, limit_bytes: int = 600) -> str:
    """Return the last lines of a log file, at most ``limit_bytes`` bytes."""
    return log.read_bytes()[-limit_bytes:].decode("utf-8", "replace").strip()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
