"""A soak: submissions with dice for everything, workers that are killed, a Google that misbehaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random

from sqlalchemy import Connection

from tests.fundamentals.house import STEPS, House, MuddledLetterbox
from vertexq import Outcome, Policy, SubmissionState, steps
from vertexq.errors import VertexqError
from vertexq.google.auth import default_tokens
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ids import batch_id
from vertexq.ledger import Ledger
from vertexq.model import Submission
from vertexq.retry import Backoff
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import SUBMISSION_TERMINAL, BatchState, JobState
from vertexq.steps.services import Services

MODEL = "gemini-2.5-flash"
WORKERS, HANDS, LIFE_S = 2, 4, 4.0
SLOTS, ROWS = 12, 30
LATE_S, END_S = 0.3, 110.0
_JOBS = "aiplatform.projects.locations.batchPredictionJobs"
_WRONG = (
    (Action.ACCEPT_THEN_DROP, 503), (Action.ACCEPT_THEN_REFUSE, 503), (Action.GARBLE, 503),
    (Action.DROP, 503), (Action.REFUSE, 503), (Action.REFUSE, 429), (Action.ACCEPT_LATE, 503),
)  # fmt: skip


class Dead(BaseException):
    """What a worker that was killed would do next is not done."""


class MortalLedger(Ledger):
    """A worker's ledger: once it is dead nothing of its worker is written any more, also no release."""

    dead = False

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        if self.dead:
            raise Dead
        with super()._writing() as connection:
            yield connection


@dataclass
class Soak:
    """What goes on, and how many rows were enqueued under each id."""

    house: House
    rng: Random
    letters: MuddledLetterbox
    rows: dict[str, int] = field(default_factory=dict[str, int])
    kills: int = 0
    over: bool = False
    life_s: float = LIFE_S


def misbehave(house: House, share: float) -> None:
    """Let every call go wrong now and then, creates in every way there is."""
    for action, status in _WRONG:
        house.simulator.faults.add(
            Fault(
                method=f"{_JOBS}.create", action=action, status=status, probability=share, times=None,
                delay_s=LATE_S, retry_after_s=0.1,
            )
        )  # fmt: skip
    for method in (f"{_JOBS}.list", f"{_JOBS}.get", f"{_JOBS}.cancel", "storage.*"):
        house.simulator.faults.add(
            Fault(method=method, action=Action.REFUSE, probability=share / 2, times=None)
        )


def hurried(house: House) -> House:
    """Return the house with short waits for everything but what a slow machine needs."""
    options = replace(
        house.services.options, batch_rows=4, running_jobs=SLOTS, rows_in_flight=ROWS, settle_time_s=3.0,
        request_deadline_s=4.0, lease_s=2.0, heartbeat_s=0.3, resend_after_s=0.4,
        retry_rounds=1, retry_wait_s=0.1,
        backoff=Backoff(first_s=0.02, longest_s=0.3, attempts=8),
    )  # fmt: skip
    return replace(house, services=replace(house.services, options=options))


async def soaked(house: House, *, seed: int, submissions: int, share: float) -> Soak:
    """See so many submissions to their end."""
    rng = Random(seed)
    soak = Soak(hurried(house), rng, MuddledLetterbox(rng=rng))
    misbehave(house, share)
    staff = [asyncio.create_task(workers(soak, number)) for number in range(WORKERS)]
    staff.append(asyncio.create_task(beat(soak)))
    async with asyncio.timeout(END_S):
        await asyncio.gather(*(_producer(soak, f"s{number}") for number in range(submissions)))
    soak.over = True
    await asyncio.gather(*staff)
    return soak


async def _producer(soak: Soak, name: str) -> None:
    """Enqueue a submission, perhaps again, perhaps cancel it, decide when it is parked; see it end."""
    rng = Random(f"{soak.rng.random()} {name}")
    rows: list[object] = [f"{name} {number}" for number in range(rng.choice([1, 3, 6, 9]))]
    if aside := len(rows) > 1 and rng.random() < 0.2:
        rows[0] = {"request": {"contents": []}}
    late = {"deadline": rng.choice([0.3, 1.5]), "on_deadline": rng.choice(["report", "rerun"])}
    terms: dict[str, object] = {**(late if rng.random() < 0.3 else {}), "priority": rng.randint(-9, 9)}
    budget = {"budget_usd": 0.002} if rng.random() < 0.2 else {}
    cancel_in = rng.choice([1, 3, 8]) if rng.random() < 0.2 else 0
    with soak.house.client() as client:

        def enqueue(**more: object) -> Submission:
            policy = Policy(set_aside=aside)
            options = {**terms, **more}
            return client.submit(rows, model=MODEL, store="results", id=name, policy=policy, **options)  # type: ignore[arg-type]

        soak.rows[name] = len(rows)
        befall(soak, enqueue(**budget), _fate(rng))
        while (state := client.get(name).state) not in SUBMISSION_TERMINAL:
            await asyncio.sleep(0.3)
            cancel_in -= 1
            if cancel_in == 0 or (state is SubmissionState.PARKED and rng.random() < 0.2):
                client.cancel(name)
            elif state is SubmissionState.PARKED or rng.random() < 0.05:
                enqueue()


def befall(soak: Soak, submission: Submission, fate: Behaviour) -> None:
    """Let all jobs of a submission fare so."""
    match = batch_id(submission.id, submission.fingerprint, 0).removesuffix("0")
    soak.house.simulator.behaviours.set(fate, match=match)


def _fate(rng: Random) -> Behaviour:
    return Behaviour(
        list_lag_s=rng.choice([0.0, LATE_S]),
        missing_rows=rng.choice([0.0, 0.3]),
        quota_rows=rng.choice([0.0, 0.3]),
        cancel_loses=rng.random() < 0.1,
        stuck_state=JobState.QUEUED if rng.random() < 0.2 else None,
        stuck_s=rng.choice([0.5, 1.0]),
    )


async def workers(soak: Soak, number: int) -> None:
    """Have one worker after the other; each is killed after a while."""
    while not soak.over:
        pace = Pace(first_s=0.005, cap_s=0.02)
        url = soak.house.environ()["VERTEXQ_LEDGER_URL"]
        ledger = MortalLedger.open(url, migrate=False)
        async with Transport(await default_tokens(emulator=True), deadline_s=5.0, pace=pace) as transport:
            at = soak.house.simulator.url
            services = replace(
                soak.house.services, ledger=ledger, hints=soak.letters, owner=f"{number}-{soak.kills}",
                vertex=Vertex(transport, endpoint=at), storage=Storage(transport, endpoint=at),
            )  # fmt: skip
            hands = [asyncio.create_task(_hand(soak, services)) for _ in range(HANDS)]
            await asyncio.wait(hands, timeout=soak.rng.uniform(0.5, soak.life_s))
            ledger.dead = not soak.over
            soak.kills += ledger.dead
            for hand in hands:
                if ledger.dead:
                    hand.cancel()
                with suppress(Dead, asyncio.CancelledError):
                    await hand
        ledger.close()


async def _hand(soak: Soak, services: Services) -> None:
    while not soak.over:
        if not soak.letters.waiting:
            await asyncio.sleep(0.02)
            continue
        task, args = soak.letters.waiting.popleft()
        with suppress(VertexqError):  # a poll may fail as a whole: it comes again
            await STEPS[task](services, *args)


async def beat(soak: Soak) -> None:
    """Sweep, unless the workers have more to do than they can; never more in flight than allowed."""
    while not soak.over:
        await asyncio.sleep(0.3)
        if len(soak.letters.waiting) < 100:
            await steps.sweep(replace(soak.house.services, hints=soak.letters))
        for flight in soak.house.services.ledger.in_flight():
            assert flight.jobs <= SLOTS, flight
            assert flight.rows <= ROWS or flight.jobs == 1, flight


def faults_of(soak: Soak) -> list[str]:
    """Return what is wrong at the end: jobs paid for twice or unknown, rows not accounted for, loose ends."""
    found: list[str] = []
    paid = Counter(create.display_name for create in soak.house.simulator.accepted)
    ledger = soak.house.services.ledger
    known = {batch.id: batch for name in soak.rows for batch in ledger.batches(name)}
    found += [f"{one} was paid for {times} times" for one, times in paid.items() if times > 1]
    found += [f"{one} is paid for and unknown" for one in paid if one not in known]
    found += [f"{one} never ran" for one, batch in known.items() if batch.job_name and one not in paid]
    found += [f"{due.id} ({due.state}) is still due" for due in ledger.due(limit=9, resend_after_s=0.0)]
    return found + [fault for name in soak.rows for fault in _row_faults(soak, name)]


def _row_faults(soak: Soak, name: str) -> Generator[str]:
    """Yield what is wrong with one submission's rows; those a cancel has withdrawn were never sent."""
    with soak.house.client() as client:
        status, results = client.get(name), list(client.results(name))
    batches = soak.house.services.ledger.batches(name)
    first = [batch for batch in batches if not batch.round]
    open_ones = [one for one in first if one.state is BatchState.WITHDRAWN]
    cancelled = status.state is SubmissionState.CANCELLED
    unsent = sum(batch.rows for batch in open_ones) if cancelled else 0
    staged = sum(batch.rows for batch in first)  # a cancel may stop it half way
    wanted = (staged if cancelled else soak.rows[name]) - unsent
    if len({one.key for one in results}) != len(results):
        yield f"{name} has a key twice"
    told = Counter(one.outcome for one in results)
    if any(getattr(status.counts, one) != told[one] for one in Outcome):
        yield f"{name}: {status.counts} is counted, {dict(told)} is stored"
    if not len(results) == status.counts.total == wanted:
        yield f"{name}: {wanted} rows, {status.counts.total} counted, {len(results)} stored ({status.state})"
