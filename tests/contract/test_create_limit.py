"""The limit on creates, on a real Redis: spaced, shared, forgotten in time, and closed when Redis is away."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vertexq.embedded import Valkey
from vertexq.errors import Unreachable
from vertexq.limits.base import CallClass
from vertexq.limits.rate import RedisCreateLimit


def take(limit: RedisCreateLimit, project: str, location: str) -> float:
    """Take one create."""
    return asyncio.run(limit.take(project, location, CallClass.CREATE))


def test_the_second_create_must_wait_for_its_turn(valkey_url: str) -> None:
    """At 60 a minute they are a second apart, so no minute ever sees more than 60."""
    limit = RedisCreateLimit(valkey_url, per_minute=60)

    waits = [take(limit, "p", "us-central1") for _ in range(3)]
    limit.close()

    assert waits[0] == 0.0
    assert all(0.0 < wait_s <= 1.0 for wait_s in waits[1:])


def test_places_do_not_wait_for_one_another(valkey_url: str) -> None:
    """Google's quota is per project and location, and so is the limit."""
    limit = RedisCreateLimit(valkey_url, per_minute=1)

    granted = [take(limit, *place) for place in (("p", "us-central1"), ("p", "global"), ("q", "global"))]
    limit.close()

    assert granted == [0.0, 0.0, 0.0]


def test_all_workers_together_stay_below_the_limit(valkey_url: str) -> None:
    """Eight workers that ask without a pause get no more than one worker would."""
    per_minute, for_s = 3_000, 1.0
    began_s = time.monotonic()

    def ask(_: int) -> int:
        limit, granted = RedisCreateLimit(valkey_url, per_minute=per_minute), 0
        while time.monotonic() - began_s < for_s:
            granted += take(limit, "p", "us-central1") == 0.0
        limit.close()
        return granted

    with ThreadPoolExecutor(8) as workers:
        total = sum(workers.map(ask, range(8)))
    took_s = time.monotonic() - began_s

    assert 1 < total <= took_s * per_minute / 60 + 1


def test_a_limit_that_is_not_used_is_forgotten(valkey: Valkey, valkey_url: str) -> None:
    """Every key has a time to live: nothing of ours stays in Redis for ever."""
    limit = RedisCreateLimit(valkey_url, per_minute=60)
    take(limit, "p", "us-central1")
    limit.close()

    with valkey.connect() as client:
        keys = list(client.scan_iter("vertexq:limit:*"))
        assert len(keys) == 1
        assert all(0 < client.pttl(key) <= 2_000 for key in keys)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0", "redis+socket://{home}/nobody.sock?virtual_host=1"])
def test_without_redis_no_paid_call_is_made(tmp_path: Path, url: str) -> None:
    """A limit that cannot be asked says so; the caller waits."""
    limit = RedisCreateLimit(url.format(home=tmp_path), per_minute=60)

    with pytest.raises(Unreachable, match="no paid call is made"):
        take(limit, "p", "us-central1")
    limit.close()
