"""Is this worker alive? Is anybody sweeping? For the health checks of containers.

A worker touches a file at every heartbeat of its event loop (two seconds): a worker that hangs, or that has
lost its broker and does not come back, lets the file grow old. ``python -m worker.health`` looks at it.
With ``sweep`` it looks instead whether a tick went from beat through the broker and a worker into the
ledger.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from vertexq.errors import VertexqError
from vertexq.ledger import Ledger
from vertexq.settings import Settings

SILENT_S = 60.0
SWEEPS_MISSED = 6


def alive_file(settings: Settings, *, node: str) -> Path:
    """Return the file that the worker called ``node`` touches."""
    return Path(settings.home) / "alive" / node.replace("/", "_")


def note_alive(settings: Settings, *, node: str) -> None:
    """Touch the worker's file."""
    file = alive_file(settings, node=node)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def forget(settings: Settings, *, node: str) -> None:
    """Remove the worker's file: it stopped on purpose."""
    alive_file(settings, node=node).unlink(missing_ok=True)


def silent_s(settings: Settings, *, node: str) -> float | None:
    """Return how long the worker has been silent, in seconds; None when it has never been heard of."""
    try:
        return time.time() - alive_file(settings, node=node).stat().st_mtime
    except FileNotFoundError:
        return None


def worker_fault(settings: Settings, *, node: str) -> str:
    """Say what is wrong with the worker called ``node``; "" when it is well."""
    quiet_s = silent_s(settings, node=node)
    if quiet_s is None:
        return f"the worker {node} is not running"
    return "" if quiet_s <= SILENT_S else f"the worker {node} has been silent for {quiet_s:.0f} s"


def sweep_fault(settings: Settings) -> str:
    """Say what is wrong with the ticks; "" when one arrived lately."""
    with_slack_s = max(SILENT_S, SWEEPS_MISSED * settings.sweep_interval_s)
    ledger = Ledger.open(settings.ledger_url, migrate=False)
    try:
        last = ledger.last_beats().get("sweep")
        late_s = with_slack_s + 1 if last is None else (ledger.now() - last).total_seconds()
    finally:
        ledger.close()
    return (
        "" if late_s <= with_slack_s else f"no tick of beat has reached the ledger for {with_slack_s:.0f} s"
    )


def main(arguments: list[str]) -> int:
    """Print what is wrong and return 1, or return 0."""
    try:
        settings = Settings.from_env()
        if arguments == ["sweep"]:
            fault = sweep_fault(settings)
        else:
            fault = worker_fault(
                settings, node=arguments[0] if arguments else f"celery@{socket.gethostname()}"
            )
    except VertexqError as error:
        fault = str(error)
    if fault:
        print(fault, file=sys.stderr)  # noqa: T201  (the container's engine keeps what a check prints)
    return 1 if fault else os.EX_OK


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
