"""What tests of cancels and deadlines ask of a house: let time pass, look at Google's jobs, count rows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tests.fundamentals.house import House
from vertexq import Outcome
from vertexq.errors import Conflict
from vertexq.model import Batch, OnDeadline, Submission
from vertexq.simulator.behaviour import Behaviour
from vertexq.states import JOB_TERMINAL, BatchState, JobState

MODEL = "gemini-2.5-flash"
PROMPTS = [f"Say {number}" for number in range(30)]
LONG_S = 3600.0
STUCK = Behaviour(stuck_state=JobState.QUEUED)
"""A job that waits at Google until it is cancelled."""


async def breathe_until(happened: Callable[[], bool]) -> None:
    """Let a step that runs beside us go on, bit by bit, until something has happened."""
    for _ in range(100_000):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


def let_deadline_pass(
    house: House, submission_id: str, then: OnDeadline = OnDeadline.REPORT, *, again_s: float = LONG_S
) -> None:
    """Let a submission be late from now on; another round would have ``again_s`` seconds."""
    ledger = house.services.ledger
    while True:
        submission = ledger.submission(submission_id)
        terms = replace(submission.terms, deadline_s=again_s, on_deadline=then)
        try:
            ledger.update_submission(
                submission, terms=terms, deadline_at=ledger.now(), next_action_at=submission.next_action_at
            )
        except Conflict:  # a step was faster
            continue
        return


def submission_of(house: House, submission_id: str) -> Submission:
    """Return the ledger's record."""
    return house.services.ledger.submission(submission_id)


def batches_of(house: House, submission_id: str) -> list[Batch]:
    """Return the ledger's batches."""
    return house.services.ledger.batches(submission_id)


def states_of(house: House, submission_id: str) -> Counter[BatchState]:
    """Count batches by state."""
    return Counter(batch.state for batch in batches_of(house, submission_id))


async def running_jobs(house: House) -> list[str]:
    """Return the jobs that Google still works on."""
    jobs = house.services.vertex.list("demo", "us-central1")
    return [job.name async for job in jobs if job.state not in JOB_TERMINAL]


def results_of(house: House, submission_id: str) -> Counter[Outcome]:
    """Count what is in the store, by outcome; no key may be there twice."""
    with house.client() as client:
        results = list(client.results(submission_id))
    assert len({one.key for one in results}) == len(results)
    return Counter(one.outcome for one in results)
