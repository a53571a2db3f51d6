"""The one bridge from Celery's tasks to the asynchronous steps: a loop and the services of this process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import traceback
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Concatenate, ParamSpec

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from vertexq.errors import Conflict, VertexqError
from vertexq.steps.services import Services

P = ParamSpec("P")
OpenServices = Callable[[], AbstractAsyncContextManager[Services]]
Step = Callable[Concatenate[Services, P], Coroutine[Any, Any, None]]

FRAMES = 8

log = structlog.get_logger(__name__)


class Runtime:
    """Holds the loop and the services between tasks, so that connections outlive the task that opened them.

    Make it after the fork; it is for one thread (Celery's prefork and solo pools). The services are opened by
    the first task that needs them, and tried again by the next one when that fails.
    """

    def __init__(self, open_services: OpenServices) -> None:
        self._open_services = open_services
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._services: Services | None = None

    def run(self, step: Step[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run ``step`` to its end; when it is interrupted, whatever it left behind is cancelled first."""

        async def call() -> None:
            await step(await self._need_services(), *args, **kwargs)

        try:
            self._runner.run(call(), context=contextvars.copy_context())
        except BaseException:
            self._runner.run(_cancel_leftovers())
            raise

    def close(self) -> None:
        """Cancel what still runs and close the services and the loop."""
        with contextlib.suppress(VertexqError):
            self._runner.run(self._close())
        self._runner.close()

    async def _need_services(self) -> Services:
        if self._services is None:
            self._services = await self._open.enter_async_context(self._open_services())
        return self._services

    async def _close(self) -> None:
        await _cancel_leftovers()
        self._services = None
        await self._open.aclose()


async def _cancel_leftovers() -> None:
    """Cancel every other task: a time limit interrupts the loop, and its step would go on in the next."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


_runtime: Runtime | None = None


def start(open_services: OpenServices) -> None:
    """Make this process's runtime; nothing is connected yet."""
    global _runtime  # noqa: PLW0603  (one a process is the point)
    stop()
    _runtime = Runtime(open_services)


def stop() -> None:
    """Close this process's runtime. Safe to repeat."""
    global _runtime  # noqa: PLW0603  (one a process is the point)
    if _runtime is not None:
        _runtime.close()
    _runtime = None


def run(step: Step[P], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a step for a task. What went wrong is in the ledger or comes again with the sweeper: never retry.

    An unexpected error is logged by its type and place only, as its text may quote a prompt or an answer, and
    raised without it, so that Flower shows the task as failed.
    """
    if _runtime is None:
        raise VertexqError("tasks run in a worker only; start one with: python -m celery -A worker worker")
    try:
        _runtime.run(step, *args, **kwargs)
    except Conflict as error:
        log.debug("step_overtaken", reason=str(error))
    except Exception as error:  # noqa: BLE001  (the task boundary: the one place that takes them all)
        raise _reported(error, step.__name__) from None


def _reported(error: Exception, step: str) -> VertexqError:
    if isinstance(error, VertexqError):
        log.warning("step_failed", error=type(error).__name__, reason=str(error))
        return VertexqError(f"{step}: {error}")
    if isinstance(error, SoftTimeLimitExceeded):
        log.warning(
            "step_interrupted", reason="the time limit, or this worker stops; the sweeper brings it back"
        )
        return VertexqError(f"{step}: interrupted; the sweeper brings it back")
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log.error("step_crashed", error=type(error).__name__, where=" < ".join(reversed(places)))
    return VertexqError(f"{step}: unexpected {type(error).__name__}; the worker's log says where")
