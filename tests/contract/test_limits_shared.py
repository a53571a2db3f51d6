"""Limits on a real Redis: shared by all, forgotten in time, the same as their pure half."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vertexq.embedded import Valkey
from vertexq.limits import gate as gates
from vertexq.limits.base import CallClass, Verdict
from vertexq.limits.gate import ASK_AGAIN_US, NAMES, Gate
from vertexq.limits.link import Link, script
from vertexq.limits.shape import Shape
from vertexq.limits.shared import SharedLimits, gate_key

PLACE = ("p", "us-central1")
KEY = gate_key(*PLACE, CallClass.CREATE)
CREATE, READ = CallClass.CREATE, CallClass.READ
QUICK = Shape(per_minute=60_000, grant_good_s=0.0)


@asynccontextmanager
async def limits(url: str, shape: Shape, *, read: Shape | None = None) -> AsyncGenerator[SharedLimits]:
    """Open limits of one process."""
    async with Link(url) as link:
        yield SharedLimits(link, {CREATE: shape, READ: read or shape})


async def test_creates_follow_one_another_at_even_distances(valkey_url: str) -> None:
    """At 60 a minute they are more than a second apart, the first one included."""
    async with limits(valkey_url, Shape(per_minute=60, careful=True)) as one:
        waits = [await one.take(*PLACE, CREATE) for _ in range(3)]

    assert all(0.9 < wait_s <= 1.034 for wait_s in waits)


async def test_places_and_classes_do_not_wait_for_one_another(valkey_url: str) -> None:
    """Google's quotas are per project, location and class, and so are the limits."""
    calls = [("p", "us-central1", CREATE), ("p", "global", CREATE), ("q", "global", CREATE), (*PLACE, READ)]
    async with limits(valkey_url, Shape(per_minute=1)) as one:
        granted = [await one.take(*call) for call in calls]
        refused = [await one.take(*call) for call in calls]

    assert granted == [0.0] * 4
    assert all(wait_s > 60 for wait_s in refused)


async def test_some_reads_may_come_at_once(valkey_url: str) -> None:
    """As many as the burst; the next one waits."""
    async with limits(valkey_url, Shape(per_minute=60, burst=5)) as one:
        waits = [await one.take(*PLACE, READ) for _ in range(6)]

    assert (waits[:5], waits[5] > 0.5) == ([0.0] * 5, True)


def test_all_workers_together_stay_below_the_limit(valkey_url: str) -> None:
    """Eight workers that ask without a pause get no more than one worker would."""
    per_minute, for_s = 3_000, 1.0
    began_s = time.monotonic()

    async def ask_on() -> int:
        granted = 0
        async with limits(valkey_url, Shape(per_minute=per_minute)) as one:
            while time.monotonic() - began_s < for_s:
                granted += await one.take(*PLACE, CREATE) == 0.0
        return granted

    def ask(_: int) -> int:
        return asyncio.run(ask_on())

    with ThreadPoolExecutor(8) as workers:
        total = sum(workers.map(ask, range(8)))
    took_s = time.monotonic() - began_s

    assert 1 < total <= took_s * per_minute / 60 + 1


async def test_a_429_slows_every_worker_down_and_successes_undo_it(valkey_url: str) -> None:
    """What one worker hears holds for the others."""
    shape = replace(QUICK, rise_s=0.001)
    async with limits(valkey_url, shape) as one, limits(valkey_url, shape) as other, Link(valkey_url) as link:
        await one.tell(*PLACE, CREATE, Verdict.THROTTLED)
        cut = Gate.read((await link.hashes(KEY))[""])
        await other.tell(*PLACE, CREATE, Verdict.TAKEN)
        raised = Gate.read((await link.hashes(KEY))[""])

    assert (cut.rate, raised.rate) == (30_000 * 10**6, 0)


async def test_retry_after_blocks_every_worker(valkey_url: str) -> None:
    """Until then nobody calls, also a worker that did not hear it."""
    async with limits(valkey_url, QUICK) as one, limits(valkey_url, QUICK) as other:
        await one.tell(*PLACE, CREATE, Verdict.THROTTLED, retry_after_s=17.0)
        wait_s = await other.take(*PLACE, CREATE)

    assert 16.0 < wait_s <= 17.0


async def test_exactly_one_of_eight_workers_probes(valkey_url: str) -> None:
    """When the breaker is half open one call goes through; its success opens the way for all."""
    shape = replace(QUICK, open_s=0.001)
    async with limits(valkey_url, shape) as first, Link(valkey_url) as link:
        for _ in range(5):
            await first.tell(*PLACE, CREATE, Verdict.BROKEN)
        await until_it_may_be_asked(first, link)
        workers = [SharedLimits(link, {CREATE: shape}) for _ in range(8)]
        waits = await asyncio.gather(*(worker.take(*PLACE, CREATE) for worker in workers))
        (prober,) = [worker for worker, wait_s in zip(workers, waits, strict=True) if wait_s == 0.0]
        await first.tell(*PLACE, CREATE, Verdict.TAKEN)  # an older call: it proves nothing
        still = await workers[0].take(*PLACE, CREATE)
        await prober.tell(*PLACE, CREATE, Verdict.TAKEN)
        state = Gate.read((await link.hashes(KEY))[""])

    assert still > 0
    assert (state.open_until, state.failures) == (0, 0)


async def until_it_may_be_asked(one: SharedLimits, link: Link) -> None:
    """Wait out the breaker's time on Redis's clock."""
    for _ in range(1000):
        state = Gate.read((await link.hashes(KEY))[""])
        if await link.now_us() > max(state.open_until, state.empty_at):
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"the breaker of {one} never became half open")


async def test_a_dead_probers_turn_passes_on(valkey_url: str) -> None:
    """The one who probed never tells; after the probe's time another probes."""
    shape = replace(QUICK, open_s=0.001, probe_s=0.05)
    async with limits(valkey_url, shape) as dead, limits(valkey_url, shape) as heir:
        for _ in range(5):
            await dead.tell(*PLACE, CREATE, Verdict.BROKEN)
        granted = [await patient(dead), await patient(heir)]

    assert granted[1] - granted[0] >= 0.05


async def patient(one: SharedLimits) -> float:
    """Ask until there is a grant; return when it came."""
    for _ in range(1000):
        wait_s = await one.take(*PLACE, CREATE)
        if not wait_s:
            return time.monotonic()
        await asyncio.sleep(min(wait_s, 0.01))
    raise AssertionError("there never was a grant")


async def test_every_key_is_forgotten_in_time(valkey: Valkey, valkey_url: str) -> None:
    """Nothing of ours stays in Redis for ever, and everything has our prefix."""
    async with limits(valkey_url, Shape(per_minute=60, careful=True, keep_s=20.0)) as one:
        await one.take(*PLACE, CREATE)
        await one.tell(*PLACE, READ, Verdict.BROKEN)

    with valkey.connect() as client:
        left_ms = {key: client.pttl(key) for key in client.scan_iter("*")}
    assert set(left_ms) == {KEY.encode(), gate_key(*PLACE, READ).encode()}
    assert all(0 < left <= 20_000 for left in left_ms.values())


async def test_a_flushed_redis_lets_nothing_through_early(valkey: Valkey, valkey_url: str) -> None:
    """However often its memory is wiped, creates keep their distance."""
    gap_s, granted = 0.05, list[float]()
    shape = Shape(per_minute=1_200, grant_good_s=0.0, careful=True)
    async with limits(valkey_url, shape) as one:
        with valkey.connect() as client:
            while len(granted) < 10:
                if await one.take(*PLACE, CREATE):
                    await asyncio.sleep(0.002)
                    continue
                granted.append(time.monotonic())
                client.flushall()

    assert all(later - earlier > gap_s * 0.9 for earlier, later in pairwise(granted))


async def test_a_redis_that_is_flushed_without_end_starves_nobody(valkey: Valkey, valkey_url: str) -> None:
    """Its state lost before every question, a process takes its turn after ten gaps, and again ten later."""
    gap_s, granted = 0.02, [time.monotonic()]
    shape = Shape(per_minute=3_000, grant_good_s=0.0, careful=True)
    async with limits(valkey_url, shape) as one:
        with valkey.connect() as client:
            while len(granted) < 3:
                client.flushall()
                if not await one.take(*PLACE, CREATE):
                    granted.append(time.monotonic())
                await asyncio.sleep(0.001)

    assert all(later - earlier >= 10 * gap_s for earlier, later in pairwise(granted))


class Rig:
    """A loop and one connection, kept over many examples."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.link = Link(url)

    def close(self) -> None:
        """Close both."""
        self.runner.run(self.link.aclose())
        self.runner.close()


@pytest.fixture
def rig(valkey_url: str) -> Iterator[Rig]:
    """Lend a rig."""
    rig = Rig(valkey_url)
    yield rig
    rig.close()


_MICROS = st.integers(1, 400)
_SHAPES = st.builds(
    Shape,
    per_minute=st.integers(1, 10**6),
    burst=st.integers(1, 5),
    careful=st.booleans(),
    grant_good_s=st.just(0.0),
    cut_every_s=_MICROS.map(lambda us: us / 1e6),
    rise_s=st.integers(1, 10**6).map(lambda us: us / 1e6),
    longest_block_s=_MICROS.map(lambda us: us / 1e6),
    failures=st.integers(1, 4),
    least_calls=st.integers(1, 4),
    broken_share=st.floats(0.1, 1.0),
    open_s=_MICROS.map(lambda us: us / 1e6),
    probe_s=_MICROS.map(lambda us: us / 1e6),
    window_s=st.integers(50, 2000).map(lambda us: us / 1e6),
)
_CALLS = st.one_of(
    st.just(("take",)),
    st.tuples(st.sampled_from(list(Verdict)), st.integers(0, 10**9), st.booleans()),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=_SHAPES, calls=st.lists(_CALLS, max_size=40))
def test_the_script_and_its_pure_half_agree(
    valkey: Valkey, rig: Rig, shape: Shape, calls: list[tuple[object, ...]]
) -> None:
    """Whatever is asked and told, at whatever moments, both come to the same state and the same answers.

    The intervals are as short as calls are, so that everything happens; the clock is what the script says.
    """
    with valkey.connect() as client:
        client.delete(KEY)
    rig.runner.run(compare(rig.link, shape, calls))


async def compare(link: Link, shape: Shape, calls: list[tuple[object, ...]]) -> None:
    """Do the same to both and look at both after each."""
    numbers, probe = shape.numbers(), 0
    take, tell = (
        script("gate", NAMES=NAMES, SHAPE=tuple(numbers), WHAT=what, ASK_AGAIN=ASK_AGAIN_US)
        for what in ("take", "tell")
    )
    gate: Gate | None = None
    for call in calls:
        if call == ("take",):
            wait_us, named, now, unknown = await link.run(take, KEY, [*numbers.values()])
            assert unknown == (gate is None)
            gate, grant = gates.take(gate, now, numbers)
            probe = named or probe
            assert (max(wait_us, 0), named) == (grant.wait_us, grant.probe)
        else:
            verdict, retry_us, own = call
            assert isinstance(verdict, Verdict)
            assert isinstance(retry_us, int)
            told = probe if own else 0
            (now,) = await link.run(tell, KEY, [*numbers.values(), verdict.value, retry_us, told])
            gate = gates.tell(gate, now, numbers, verdict, retry_us=retry_us, probe=told)
        assert Gate.read((await link.hashes(KEY))[""]) == gate
