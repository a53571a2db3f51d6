"""The bridge from tasks to steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from config import logs
from tasks import runtime
from vertexq.errors import LeaseLost, Unreachable, VertexqError
from vertexq.settings import Settings
from vertexq.steps.services import Services
from worker.services import open_services

PROMPT = "a secret prompt"


class Silent:
    """Hints that go nowhere."""

    def send(self, task: object, *args: str) -> None:
        """Send nothing."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a worker on this machine."""
    environment = {
        "VERTEXQ_HOME": str(tmp_path),
        "VERTEXQ_STAGING": "gs://bucket/prefix",
        "VERTEXQ_VERTEX_ENDPOINT": "http://127.0.0.1:9",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "GOOGLE_CLOUD_PROJECT": "project",
    }
    return Settings.for_worker(environment)


@pytest.fixture
def running(settings: Settings) -> Iterator[None]:
    """Run a runtime with real services."""
    runtime.start(lambda: open_services(settings, hints=Silent()))
    yield
    runtime.stop()


@pytest.mark.usefixtures("running")
def test_services_are_opened_once_for_all_tasks() -> None:
    """Two tasks of a process see the same services, on the same loop."""
    seen: list[tuple[Services, asyncio.AbstractEventLoop]] = []

    async def look(services: Services) -> None:
        seen.append((services, asyncio.get_running_loop()))

    runtime.run(look)
    runtime.run(look)

    assert seen[0] == seen[1]


@pytest.mark.usefixtures("running")
def test_an_interrupted_step_does_not_go_on_in_the_next_task() -> None:
    """A time limit interrupts the loop; what the step left behind is cancelled, and the loop is usable."""
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def interrupted(_services: Services) -> None:
        left = asyncio.create_task(endless())
        await asyncio.sleep(0)
        assert not left.done()
        raise SoftTimeLimitExceeded

    async def fine(_services: Services) -> None:
        ended.append("fine")

    with pytest.raises(VertexqError, match="interrupted"):
        runtime.run(interrupted)
    runtime.run(fine)

    assert ended == ["cancelled", "fine"]


@pytest.mark.usefixtures("running")
def test_an_unexpected_error_is_told_without_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    """Its text may quote a prompt: neither the log nor the task's failure has it, only type and place."""
    logs.configure()

    async def crash(_services: Services) -> None:
        raise KeyError(PROMPT)

    with pytest.raises(VertexqError) as caught:
        runtime.run(crash)
    logging.getLogger().handlers.clear()

    said = capfd.readouterr().err
    assert "KeyError" in said
    assert "test_runtime.py" in said
    assert PROMPT not in said + str(caught.value) + str(caught.value.__cause__)
    assert caught.value.__suppress_context__


@pytest.mark.usefixtures("running")
def test_being_overtaken_is_no_failure() -> None:
    """A lost lease means that somebody else does the work: the task ends as if it were done."""

    async def overtaken(_services: Services) -> None:
        raise LeaseLost("somebody else has it")

    runtime.run(overtaken)


def test_services_that_cannot_be_opened_are_tried_again_by_the_next_task(settings: Settings) -> None:
    """A ledger that is away when the process starts costs a task, not the process."""
    tries: list[int] = []

    @asynccontextmanager
    async def second_time_lucky() -> AsyncGenerator[Services]:
        tries.append(1)
        if len(tries) == 1:
            raise Unreachable("the ledger is away")
        async with open_services(settings, hints=Silent()) as services:
            yield services

    async def look(services: Services) -> None:
        assert services.ledger.last_beats() == {}

    runtime.start(second_time_lucky)
    with pytest.raises(VertexqError, match="look: the ledger is away"):
        runtime.run(look)
    runtime.run(look)
    runtime.stop()

    assert len(tries) == 2


def test_a_task_outside_a_worker_says_so() -> None:
    """Calling a task as a function, without a worker around it, is a mistake with an explanation."""

    async def look(_services: Services) -> None: ...

    with pytest.raises(VertexqError, match="tasks run in a worker only"):
        runtime.run(look)
