"""The whole application on one machine: Valkey, the simulator, one worker and one beat, as real processes.

Everything is below one directory: data, logs, and a record of the processes, so that another command can
tell whether they still run and stop them. Whoever starts a stack and dies without stopping it leaves
nothing behind: each process has a watchdog.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import orjson

from vertexq.addresses import make_private
from vertexq.embedded.process import Child, Command, await_ready
from vertexq.embedded.valkey import Valkey
from vertexq.settings import Settings
from worker import health, pids

ROOT = Path(__file__).resolve().parent.parent
NODE = "local@vertexq"
BUCKET = "vertexq"
READY_S = 60.0
STOP_S = 15.0
OURS = ("VERTEXQ_", "GOOGLE_", "CLOUDSDK_", "CELERY_", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")

# Google takes minutes to hours and its jobs are polled every half minute; the simulator takes seconds.
PACE = {
    "VERTEXQ_POLL_INTERVAL_S": "0.5",
    "VERTEXQ_POLL_LONGEST_S": "2",
    "VERTEXQ_SWEEP_INTERVAL_S": "1",
    "VERTEXQ_RESEND_AFTER_S": "5",
    "VERTEXQ_SETTLE_TIME_S": "5",
    "VERTEXQ_LEASE_S": "5",
    "VERTEXQ_HEARTBEAT_S": "1",
    "VERTEXQ_STOP_AFTER_S": "5",
    "VERTEXQ_RETRY_WAIT_S": "3",
}


class Recorded(TypedDict):
    """One process in the record; ``mark`` tells it from another one that got its id later."""

    name: str
    pid: int
    mark: str


@dataclass(frozen=True, slots=True)
class Started:
    """A process of this stack."""

    name: str
    child: Child | Valkey


class Stack:
    """Starts and stops the processes below ``home``, in order; ``settings`` are variables that win.

    ``speed`` is how many times as fast as usual the simulated jobs go, ``behaviour`` how they fare, as JSON.
    """

    def __init__(
        self,
        home: Path,
        *,
        settings: Mapping[str, str] | None = None,
        speed: float = 1.0,
        behaviour: str = "{}",
    ) -> None:
        self.home = home.resolve()
        self._speed = speed
        self._behaviour = behaviour
        self.environment: dict[str, str] = {}
        self._settings = dict(settings or {})
        self._started: list[Started] = []

    def start(self) -> None:
        """Start everything and wait until it is ready; raise ``Unreachable`` with the end of a log."""
        make_private(self.home / "logs")  # logs, data and answers are below it
        valkey = Valkey(self.home / "valkey")
        valkey.start()
        self._add("valkey", valkey)
        own = {**self._own_variables(valkey.url), **PACE}
        self.environment = {**own, **self._start_simulator(), **self._settings}
        self.start_worker()
        self._start("beat", "-m", "celery", "-A", "worker", "-q", "beat", "-l", "info", "--pidfile=")

    def dead(self) -> str:
        """Return the name of a process that has ended by itself, or ""."""
        for one in self._started:
            if isinstance(one.child, Child) and not one.child.running():
                return one.name
        return ""

    def stop(self) -> None:
        """Stop beat, then the worker, then the simulator, then Valkey."""
        while self._started:
            child = self._started.pop().child
            if isinstance(child, Valkey):
                child.stop()
            else:
                child.stop(grace_s=STOP_S)
        record_file(self.home).unlink(missing_ok=True)

    def release(self) -> None:
        """Let everything outlive this process; ``stop_recorded`` stops it."""
        for one in self._started:
            one.child.release()

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.home / "logs" / f"{name}.log"

    def _own_variables(self, broker_url: str) -> dict[str, str]:
        return {
            "VERTEXQ_HOME": str(self.home),
            "VERTEXQ_BROKER_URL": broker_url,
            "VERTEXQ_LEDGER_URL": f"sqlite:///{self.home}/ledger.db",
            "VERTEXQ_STORE_RESULTS": f"sqlite:///{self.home}/results.db",
        }

    def _start_simulator(self) -> dict[str, str]:
        """Start the simulator on a free port; return the variables it asks for."""
        program = Path(sys.executable).with_name("vertexq")
        place = ("--port", "0", "--bucket", BUCKET, "--data-dir", self.home / "google")
        options = (*place, "--speed", str(self._speed), "--behaviour", self._behaviour, "--json")
        child = self._start("simulator", program, "simulate", *options, orphan_grace_s=12.0)
        log = self.log("simulator")
        await_ready(child, lambda: b"\n" in log.read_bytes(), what="the simulator", timeout_s=READY_S)
        said = orjson.loads(log.read_bytes().splitlines()[0])
        return cast("dict[str, str]", said["variables"])

    def child(self, name: str) -> Child:
        """Return the process called ``name``."""
        return next(one.child for one in self._started if one.name == name and isinstance(one.child, Child))

    def start_worker(self) -> None:
        """Start the worker, or another one in the place of one that has ended, and wait until it consumes."""
        for one in self._started:
            if one.name == "worker":
                one.child.kill()
        self._started = [one for one in self._started if one.name != "worker"]
        options = ("-n", NODE, "-c", "2", "--without-gossip", "--without-mingle", "-l", "info")
        settings = Settings.from_env(self.environment)
        health.forget(settings, node=NODE)
        child = self._start("worker", "-m", "celery", "-A", "worker", "-q", "worker", *options)
        await_ready(
            child, lambda: not health.worker_fault(settings, node=NODE), what="the worker", timeout_s=READY_S
        )

    def _start(self, name: str, *args: str | Path, orphan_grace_s: float = 0.0) -> Child:
        log = self.log(name)
        log.write_bytes(b"")
        child = Child(
            Command(
                args=args if isinstance(args[0], Path) else [sys.executable, *args],
                log=log,
                cwd=ROOT,
                env=self.full_environment(),
                orphan_grace_s=orphan_grace_s,
            )
        )
        self._add(name, child)
        return child

    def full_environment(self) -> dict[str, str]:
        """Return the caller's environment with this stack's variables in the place of all of ours."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return {**kept, **self.environment, "PYTHONUNBUFFERED": "1"}

    def _add(self, name: str, child: Child | Valkey) -> None:
        self._started.append(Started(name, child))
        record = [
            Recorded(name=one.name, pid=one.child.pid, mark=pids.mark(one.child.pid)) for one in self._started
        ]
        part = record_file(self.home).with_suffix(".part")
        part.write_bytes(orjson.dumps(record))
        part.replace(record_file(self.home))  # in one piece: others read it at any moment


def record_file(home: Path) -> Path:
    """Return where the processes of the stack in ``home`` are written down."""
    return home / "stack.json"


def recorded(home: Path) -> list[Recorded]:
    """Return the processes of the stack in ``home`` that still run, in the order of their start."""
    try:
        known = cast("list[Recorded]", orjson.loads(record_file(home).read_bytes()))
    except FileNotFoundError:
        return []
    return [one for one in known if pids.same(one["pid"], one["mark"])]


def stop_recorded(home: Path) -> list[str]:
    """Stop what still runs of the stack in ``home``, last started first; return the names."""
    stopped: list[str] = []
    for one in reversed(recorded(home)):
        pids.end(one["pid"], one["mark"], grace_s=STOP_S)
        stopped.append(one["name"])
    record_file(home).unlink(missing_ok=True)
    return stopped


def clean(home: Path) -> None:
    """Remove everything of the stack in ``home``, which must be stopped."""
    shutil.rmtree(home, ignore_errors=True)


def write_environment(file: Path, variables: Mapping[str, str]) -> None:
    """Write the variables as shell lines, for ``source``; only this user may read them."""
    make_private(file.parent)
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))


def read_environment(file: Path) -> dict[str, str]:
    """Read back what ``write_environment`` wrote."""
    pairs = (shlex.split(line)[1].partition("=") for line in file.read_text().splitlines())
    return {name: value for name, _, value in pairs}
