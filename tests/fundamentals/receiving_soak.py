"""A soak of the receiving half: dice for what jobs write and for what is asked for after their end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from tests.fundamentals.house import House, MuddledLetterbox
from tests.fundamentals.soaking import END_S, LIFE_S, WORKERS, Soak, beat, befall, hurried, misbehave, workers
from vertexq import Client, Submission, SubmissionState
from vertexq.errors import NotDone
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.timing import Timing
from vertexq.states import SUBMISSION_TERMINAL

MODEL = "gemini-2.5-flash"
STORES = ("results", "lines", "duck", "parquet")
RARE = 0.3
_OUTCOMES = ("failed", "missing", "blocked", "quarantined")
_DOWNLOADS = (Action.CUT, Action.SHORTEN, Action.WRONG_RANGE, Action.IGNORE_RANGE)
_Value = TypeVar("_Value")


@dataclass
class Told:
    """What producers were told: id, submission and kind of each event."""

    events: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def tell(self, task: str, queue: str, message_id: str, event: dict[str, Any]) -> None:
        """Note an event."""
        del task, queue
        self.events.append((message_id, event["data"]["id"], event["type"]))


async def received(
    house: House,
    told: Told,
    *,
    seed: int,
    submissions: int,
    share: float,
    life_s: float = LIFE_S,
    end_s: float = END_S,
) -> Soak:
    """See so many submissions to their end, and to the end of what is asked for after it."""
    rng = Random(seed)
    house = hurried(house).with_options(
        range_bytes=rng.choice([500, 2_000, 10**6]), chunk_rows=rng.choice([1, 3, 100]), output_wait_s=0.5,
        retry_rounds=2, batch_rows=6,
    )  # fmt: skip
    house = replace(house, services=replace(house.services, producers=told))
    soak = Soak(house, rng, MuddledLetterbox(rng=rng), life_s=life_s)
    misbehave(house, share)
    _spoil_downloads(house, rng, share)
    staff = [asyncio.create_task(workers(soak, number)) for number in range(WORKERS)]
    staff.append(asyncio.create_task(beat(soak)))
    async with asyncio.timeout(end_s):
        await asyncio.gather(*(_producer(soak, f"s{number}") for number in range(submissions)))
    soak.over = True
    await asyncio.gather(*staff)
    house.simulator.faults.clear()
    return soak


def _spoil_downloads(house: House, rng: Random, share: float) -> None:
    for action in _DOWNLOADS:
        house.simulator.faults.add(
            Fault(
                method="storage.objects.get", match="alt=media", action=action,
                after_bytes=rng.choice([0, 1, 200]), probability=share, times=None,
            )
        )  # fmt: skip


async def _producer(soak: Soak, name: str) -> None:
    """Enqueue a submission, see it end, and perhaps ask for more of it, twice at the same time."""
    rng = Random(f"{soak.rng.random()} {name}")
    with soak.house.client() as client:
        submission = _enqueue(soak, client, name, rng)
        for again in range(rng.choice([1, 1, 2, 3])):
            befall(soak, submission, fate(rng))
            outcomes = rng.sample(_OUTCOMES, 2)
            for _ in range(2 if again else 0):
                with suppress(NotDone):  # the first one is under way
                    client.retry(name, outcomes=outcomes)
            await _ended(client, name, cancel_in=rng.choice([1, 4]) if rng.random() < 0.15 else 0)


def _enqueue(soak: Soak, client: Client, name: str, rng: Random) -> Submission:
    soak.rows[name] = rng.choice([1, 3, 6, 9, 14])
    is_late = rng.random() < 0.2
    return client.submit(
        [f"{name} {number}" for number in range(soak.rows[name])],
        model=MODEL,
        store=rng.sample(STORES, rng.choice([1, 1, 2, 3])),
        id=name,
        on_complete="app.done",
        deadline=rng.choice([0.5, 2.0]) if is_late else None,
        on_deadline=rng.choice(["report", "rerun"]) if is_late else "report",
    )


async def _ended(client: Client, name: str, *, cancel_in: int) -> None:
    while (state := client.get(name).state) not in SUBMISSION_TERMINAL:
        assert state is not SubmissionState.PARKED, client.get(name).reason
        await asyncio.sleep(0.3)
        cancel_in -= 1
        if cancel_in == 0:
            client.cancel(name)


def fate(rng: Random) -> Behaviour:
    """Throw dice for what a job writes, and when; most things happen now and then."""

    def rarely(value: _Value, otherwise: _Value) -> _Value:
        return value if rng.random() < RARE else otherwise

    fail_code = rarely(rng.choice([13, 3]), 0)
    return Behaviour(
        quota_rows=rarely(0.4, 0.0), server_error_rows=rarely(0.3, 0.0), missing_rows=rarely(0.3, 0.0),
        unwritten_rows=rarely(0.2, 0.0), bad_rows=rarely(0.3, 0.0), blocked_rows=rarely(0.4, 0.0),
        safety_rows=rarely(0.3, 0.0), repeated_rows=rarely(rng.choice([0.6, 1.0]), 0.0),
        corrupt_rows=rarely(0.3, 0.0), no_total_rows=rarely(0.5, 0.0),
        echo=rarely(Echo.COERCED, Echo.SIBLINGS), shards=rarely(3, 1), partial=rng.random() < RARE,
        incremental_rows=rng.choice([0, 1, 2, 4]), early_only=rng.random() < 0.1,
        late_output_s=0.0 if fail_code else rarely(0.2, 0.0), late_output_info=rng.random() < RARE,
        incomplete_unknown=rng.random() < RARE, fail_code=fail_code,
        fail_at=rng.random(), cancel_loses=rng.random() < 0.1, expires=rng.random() < 0.05,
        timing=replace(Timing.fast(), rows_per_s=rng.choice([0.0, 10.0])),
    )  # fmt: skip
