"""Redis goes away, loses its memory and comes back: creates wait, reads go on slowly, nobody hangs."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vertexq.embedded import Valkey
from vertexq.errors import Unreachable
from vertexq.limits.base import CallClass, Verdict
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link, redis_url
from vertexq.limits.shape import Shape
from vertexq.limits.shared import SharedLimits

PLACE = ("p", "us-central1")
CREATE, READ = CallClass.CREATE, CallClass.READ
SHAPES = {
    CREATE: Shape(per_minute=600, careful=True, grant_good_s=0.0),
    READ: Shape(per_minute=600, burst=10),
}


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey that the test may kill."""
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "redis+socket://{home}/nobody.sock?virtual_host=1"])
async def test_without_redis_no_paid_call_is_made_and_few_reads(tmp_path: Path, url: str) -> None:
    """A create is not granted; reads get a twentieth of their limit, evenly, in this process."""
    async with Link(url.format(home=tmp_path)) as link:
        limits = SharedLimits(link, SHAPES)
        with pytest.raises(Unreachable, match="no paid call is made"):
            await limits.take(*PLACE, CREATE)
        waits = [await limits.take(*PLACE, READ) for _ in range(3)]
        await limits.tell(*PLACE, CREATE, Verdict.BROKEN)

    assert waits[0] == 0.0
    assert all(1.5 < wait_s <= 2.0 for wait_s in waits[1:])


async def test_an_outage_is_one_line_in_the_log(own_valkey: Valkey) -> None:
    """A hundred calls into it add nothing; its end is said too, and then calls are granted again."""
    with capture_logs() as logs:
        async with Link(own_valkey.url, rest_s=0.01) as link:
            limits = SharedLimits(link, SHAPES)
            await limits.take(*PLACE, READ)
            own_valkey.kill()
            for _ in range(100):
                await limits.take(*PLACE, READ)
                await limits.tell(*PLACE, READ, Verdict.TAKEN)
                await asyncio.sleep(0.001)
            own_valkey.start()
            granted = await patient(limits)

    assert granted
    assert [line["event"] for line in logs] == ["limits_unreachable", "limits_reachable_again"]


async def patient(limits: SharedLimits) -> bool:
    """Ask for a create, as long as it takes."""
    for _ in range(2000):
        try:
            wait_s = await limits.take(*PLACE, CREATE)
        except Unreachable:
            wait_s = 0.01
        if not wait_s:
            return True
        await asyncio.sleep(min(wait_s, 0.01))
    return False


async def test_a_redis_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    """It takes the connection and never answers: each first call ends with its time-out, the rest at once.

    The loop goes on meanwhile.
    """
    path = tmp_path / "hung.sock"
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        async with Link(f"redis+socket://{path}", time_out_s=0.2, rest_s=60.0) as link:
            limits, budget = SharedLimits(link, SHAPES), RetryBudget(link)
            ticking = asyncio.create_task(tick())
            began_s = time.monotonic()
            with pytest.raises(Unreachable):
                await limits.take(*PLACE, CREATE)
            for _ in range(100):
                await limits.take(*PLACE, READ)
                await budget.spend("storage", throttled=False)
            took_s = time.monotonic() - began_s
            ticking.cancel()

    assert took_s < 2.0
    assert ticks >= 10


async def test_a_question_that_is_interrupted_leaves_no_answer_behind(valkey_url: str) -> None:
    """A time limit may end a step while Redis answers; the next question gets its own answer."""
    async with Link(valkey_url) as link:
        limits = SharedLimits(link, SHAPES)
        for turns in range(40):
            asking = asyncio.create_task(limits.take(*PLACE, READ))
            for _ in range(turns % 8):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert await link.now_us() > 10**15


@pytest.mark.parametrize("memory", ["kept", "lost"])
async def test_a_killed_redis_lets_nothing_through_early(own_valkey: Valkey, memory: str) -> None:
    """Killed right after a grant and started again, also with nothing left, creates keep their distance."""
    gap_s, granted = 0.1, list[float]()
    async with Link(own_valkey.url, rest_s=0.0) as link:
        limits = SharedLimits(link, SHAPES)
        for _ in range(3):
            assert await patient(limits)
            granted.append(time.monotonic())
            own_valkey.kill()
            if memory == "lost":
                shutil.rmtree(own_valkey.home / "data")
            own_valkey.start()

    assert all(later - earlier > gap_s * 0.9 for earlier, later in pairwise(granted))


@pytest.mark.parametrize(
    ("celery", "ours"),
    [
        ("redis://:secret@host:6379/3", "redis://:secret@host:6379/3"),
        ("redis+socket:///run/valkey.sock", "unix:///run/valkey.sock"),
        ("redis+socket:///run/valkey.sock?virtual_host=2", "unix:///run/valkey.sock?db=2"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "rediss://h/0?ssl_cert_reqs=none"),
        ("rediss://h/0?ssl_cert_reqs=required", "rediss://h/0?ssl_cert_reqs=required"),
    ],
)
def test_a_brokers_url_is_understood(celery: str, ours: str) -> None:
    """Celery and redis-py write some things differently."""
    assert redis_url(celery) == ours
