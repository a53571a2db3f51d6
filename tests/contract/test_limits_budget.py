"""The retry budget on a real Redis: shared, filled by successes, asked by the transport before it repeats."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.loopback import QUICK, answer, in_turn, json_answer, listening
from vertexq.embedded import Valkey
from vertexq.errors import Throttled, Unavailable
from vertexq.google.auth import Tokens
from vertexq.google.rest import Transport
from vertexq.limits.base import CallClass
from vertexq.limits.budget import BUDGETS, Bucket, RetryBudget, Tariff
from vertexq.limits.link import Link, script
from vertexq.limits.restraint import SharedRestraint
from vertexq.limits.shape import Shape
from vertexq.limits.shared import GATES, SharedLimits

PLACE = "projects/p/locations/us-central1"
JOBS = f"/v1/{PLACE}/batchPredictionJobs"
SMALL = Tariff(capacity=30)


async def test_all_workers_spend_from_one_budget(valkey_url: str) -> None:
    """500 tokens are 35 repeats at 14, whoever makes them; after a 429 a repeat costs 5."""
    async with Link(valkey_url) as link:
        workers = [RetryBudget(link) for _ in range(8)]
        granted = [await workers[number % 8].spend(PLACE, throttled=False) for number in range(40)]
        cheaper = [await workers[0].spend(PLACE, throttled=True) for _ in range(3)]

    assert (sum(granted), granted.index(False)) == (35, 35)
    assert cheaper == [True, True, False]  # 10 tokens were left


async def test_places_have_budgets_of_their_own(valkey_url: str) -> None:
    """What fails in one region does not keep another from trying again."""
    async with Link(valkey_url) as link:
        budget = RetryBudget(link, tariff=SMALL)
        spent = [await budget.spend("a", throttled=False) for _ in range(3)]
        other = await budget.spend("b", throttled=False)

    assert (spent, other) == ([True, True, False], True)


async def test_successes_are_told_together_and_never_overfill(valkey: Valkey, valkey_url: str) -> None:
    """One word to Redis for many successes; a full budget stays as it is."""
    async with Link(valkey_url) as link:
        budget = RetryBudget(link, tariff=SMALL, tell_every=5)
        await budget.spend(PLACE, throttled=False)
        left = []
        for _ in range(20):
            await budget.earn(PLACE)
            left.append(int((await link.hashes(BUDGETS))[PLACE]["tokens"]))

    assert left == [16] * 4 + [21] * 5 + [26] * 5 + [30] * 6
    with valkey.connect() as client:
        assert 0 < client.pttl(f"{BUDGETS}{PLACE}") <= 3_600_000


async def test_without_redis_a_small_budget_of_this_process_holds(tmp_path: Path) -> None:
    """A fifth of the whole; successes fill it too."""
    async with Link(f"redis+socket://{tmp_path}/nobody.sock") as link:
        budget = RetryBudget(link)
        granted = [await budget.spend(PLACE, throttled=False) for _ in range(10)]
        for _ in range(14):
            await budget.earn(PLACE)
        again = await budget.spend(PLACE, throttled=False)

    assert (sum(granted), again) == (7, True)  # 100 tokens


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=20))
async def test_the_script_and_its_pure_half_agree(valkey_url: str, calls: list[tuple[int, int]]) -> None:
    """Whatever is earned and asked for, both come to the same tokens."""
    bucket = Bucket(30)
    async with Link(valkey_url) as link:
        for earned, cost in calls:
            told = await link.run(script("budget"), f"{BUDGETS}x", [30, earned, cost, 1000])
            assert told == [bucket.spend(cost, earned=earned), bucket.tokens]
        await link.run("redis.call('DEL', KEYS[1]); return {}", f"{BUDGETS}x", [])


def restrained(link: Link, *, read: Shape | None = None, capacity: int = 30) -> Transport:
    """Return a transport that keeps to limits."""
    shape = read or Shape(per_minute=60_000, grant_good_s=0.0)
    shared = SharedLimits(link, {CallClass.READ: shape, CallClass.CREATE: shape})
    budget = RetryBudget(link, tariff=Tariff(capacity=capacity))
    return Transport(Tokens(), pace=QUICK, restraint=SharedRestraint(shared, budget, project="p"))


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (429, 6)])
async def test_the_transport_stops_repeating_when_the_budget_is_spent(
    valkey_url: str, status: int, tries: int
) -> None:
    """30 tokens are two repeats after a 503, and more than the five that are ever made after a 429."""
    async with (
        Link(valkey_url) as link,
        listening(in_turn(*[answer(status)] * 10)) as server,
        restrained(link) as transport,
    ):
        with pytest.raises((Unavailable, Throttled)):
            await transport.call("GET", f"{server.url}/v1/projects/p/locations/l/models/m", retry=True)

    assert len(server.heard) == tries


async def test_every_try_and_every_page_is_a_read(valkey_url: str) -> None:
    """Also under the number that Google writes for a project; other calls are in no such quota."""
    numbered = "/v1/projects/123/locations/us-central1/batchPredictionJobs/7"
    others = ["/storage/v1/b/bucket", f"/v1/{PLACE}/models/m"]
    urls = [JOBS, f"{JOBS}/7", f"{JOBS}?pageToken=2", f"{JOBS}/7:cancel", numbered, *others]
    async with (
        Link(valkey_url) as link,
        listening(in_turn(answer(503), *[json_answer({})] * 10)) as server,
        restrained(link) as transport,
    ):
        for url in urls:
            await transport.call("GET", f"{server.url}{url}", retry=True)
        counted = {key: int(gate["calls"]) for key, gate in (await link.hashes(GATES)).items()}

    assert counted == {f"{PLACE}/read": 6}


async def test_a_call_waits_for_its_turn_or_says_why_it_was_not_made(valkey_url: str) -> None:
    """A turn within the deadline is waited for; one after it is an error that may pass."""
    shape = Shape(per_minute=1200, grant_good_s=0.0)
    async with (
        Link(valkey_url) as link,
        listening(in_turn(*[json_answer({})] * 5)) as server,
        restrained(link, read=shape) as transport,
    ):
        for _ in range(3):
            await transport.call("GET", f"{server.url}{JOBS}", retry=True)
        with pytest.raises(Unavailable, match="status --limits") as caught:
            await transport.call("GET", f"{server.url}{JOBS}", retry=True, deadline_s=0.01)

    assert len(server.heard) == 3
    assert 0.0 < (caught.value.retry_after_s or 0.0) <= 0.05


async def test_a_paid_call_asks_nobody_here(valkey_url: str) -> None:
    """Its step asks the limit itself; the transport makes it once and counts nothing."""
    async with (
        Link(valkey_url) as link,
        listening(in_turn(json_answer({}))) as server,
        restrained(link) as transport,
    ):
        await transport.call("POST", f"{server.url}{JOBS}", json={}, retry=False)
        assert await link.hashes("vertexq:") == {}
