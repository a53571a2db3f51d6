"""What happens around tasks: logs, the check of the settings, services after the fork, a sign of life."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery, signals
from celery.worker import state

from config import logs
from tasks import runtime
from vertexq import failpoints
from vertexq.broker import CeleryHints
from vertexq.errors import BadInput, VertexqError
from vertexq.google.auth import default_tokens
from vertexq.prices import PriceBook
from vertexq.settings import Settings
from worker import health
from worker.services import all_simulated, open_services

POOLS = ("prefork", "solo")
LONGEST_ID_CHARS = 80


def connect(app: Celery, settings: Settings) -> None:
    """Connect Celery's signals; nothing happens before a worker or beat starts."""

    def set_up_logs(**_: object) -> None:
        logs.configure(level=settings.log_level, log_format=settings.log_format)

    def check(sender: Any, **_: object) -> None:
        check_worker(str(sender.pool_cls.__module__))
        arm_failpoint(settings.failpoint)  # before the fork, so that every process has it

    def open_runtime(**_: object) -> None:
        runtime.start(lambda: open_services(settings, hints=CeleryHints(app)))

    def stopping(**_: object) -> None:
        interrupt_later(settings.stop_after_s)

    def alive(sender: Any, **_: object) -> None:
        health.note_alive(settings, node=_node(sender))

    def gone(sender: Any, **_: object) -> None:
        runtime.stop()
        health.forget(settings, node=_node(sender))

    signals.setup_logging.connect(set_up_logs, weak=False)
    signals.worker_init.connect(check, weak=False)
    signals.worker_process_init.connect(open_runtime, weak=False)
    signals.worker_process_shutdown.connect(close_runtime, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.worker_ready.connect(alive, weak=False)
    signals.heartbeat_sent.connect(alive, weak=False)
    signals.worker_shutdown.connect(gone, weak=False)
    signals.task_prerun.connect(bind_context, weak=False)
    signals.task_postrun.connect(clear_context, weak=False)


def check_worker(pool_module: str) -> None:
    """End the process with one sentence unless a worker can run with this environment.

    The exit code is 2 for settings that are wrong and 3 when there are no Google credentials.
    """
    try:
        settings = Settings.for_worker()
        PriceBook.open(settings.prices)
        asyncio.run(default_tokens(emulator=all_simulated(settings)))
    except VertexqError as error:
        _refuse(str(error), code=error.exit_code)
    if pool_module.rpartition(".")[2] not in POOLS:
        _refuse("the worker runs steps on one event loop a process; use --pool prefork (the default) or solo")


def arm_failpoint(text: str) -> None:
    """Arm the point at which this worker shall die, if one is named: a test's wish, never a production's."""
    try:
        failpoints.arm(text)
    except ValueError:
        known = ", ".join(failpoints.Failpoint)
        form = "NAME, #NUMBER or PREFIX#NUMBER, perhaps with @FILE"
        _refuse(f"VERTEXQ_FAILPOINT is {form}, not {text[:80]!r}; the names are {known}")
    if text:
        structlog.get_logger(__name__).warning("failpoint_armed", point=text.partition("@")[0])


def interrupt_later(wait_s: float) -> None:
    """Let running steps go on for ``wait_s`` seconds, then interrupt them as a time limit does.

    An interrupted step lets go of its lease, so that another worker resumes it at once.
    """
    timer = threading.Timer(wait_s, interrupt_steps)
    timer.daemon = True
    timer.start()


def interrupt_steps() -> None:
    """Interrupt the running steps: SIGUSR1 is what Celery's soft time limit sends."""
    for request in tuple(state.active_requests):
        if request.worker_pid and request.worker_pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(request.worker_pid, signal.SIGUSR1)


def close_runtime(**_: object) -> None:
    """Close what this process opened; a process ends after a number of tasks, or when its worker stops."""
    runtime.stop()


def bind_context(task_id: str, task: Any, args: Sequence[object], **_: object) -> None:
    """Put the task and the ids it works on into every log line of this task."""
    ids = [arg[:LONGEST_ID_CHARS] for arg in args if isinstance(arg, str)]
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name, ids=ids)


def clear_context(**_: object) -> None:
    """Forget the task's context."""
    structlog.contextvars.clear_contextvars()


def _node(sender: Any) -> str:
    """Return the worker's node name; a heartbeat's sender knows it through its event dispatcher."""
    return str(getattr(sender, "hostname", None) or sender.eventer.hostname)


def _refuse(reason: str, *, code: int = BadInput.exit_code) -> None:
    print(f"vertexq: {reason}", file=sys.stderr)  # noqa: T201  (a person starts the worker and reads this)
    raise SystemExit(code)
