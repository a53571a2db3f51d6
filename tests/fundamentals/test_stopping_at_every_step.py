"""Cancels and deadlines after any number of steps, with muddled hints: nothing leaks, nothing is lost."""

from __future__ import annotations

from random import Random

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import (
    MODEL,
    PROMPTS,
    batches_of,
    let_deadline_pass,
    results_of,
    running_jobs,
    submission_of,
)
from vertexq import Outcome, SubmissionState
from vertexq.model import OnDeadline
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"
STEPS = range(1, 50, 4)


def _muddle(house: House, seed: int) -> House:
    """Let hints come twice and out of order, and one create in three lose its answer."""
    for action in (Action.ACCEPT_THEN_DROP, Action.DROP, Action.ACCEPT_THEN_REFUSE):
        house.simulator.faults.add(Fault(method=CREATE, action=action, times=1, skip=seed % 3))
    return house.with_options(batch_rows=10, running_jobs=2, settle_time_s=0.4).muddled(Random(seed))


@pytest.mark.parametrize("steps", STEPS)
async def test_a_cancel_after_any_number_of_steps(slow_house: House, steps: int) -> None:
    """No job runs on, no batch is sent afterwards unless it was on its way, and rows add up."""
    muddled = _muddle(slow_house, steps)
    with muddled.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        for _ in range(steps):
            await muddled.step()
        client.cancel(submission.id)
        status = await muddled.until_rest(submission.id)

    batches = batches_of(muddled, submission.id)
    unsent = sum(batch.rows for batch in batches if batch.state is BatchState.WITHDRAWN)
    assert status.state in (SubmissionState.CANCELLED, SubmissionState.DONE)
    assert status.counts.total + unsent == (len(PROMPTS) if batches else 0)
    assert results_of(muddled, submission.id).total() == status.counts.total
    assert await running_jobs(muddled) == []
    assert len(slow_house.simulator.accepted) <= len(batches)


@pytest.mark.parametrize("then", list(OnDeadline))
@pytest.mark.parametrize("steps", STEPS)
async def test_a_deadline_after_any_number_of_steps(slow_house: House, steps: int, then: OnDeadline) -> None:
    """Every row is accounted for once, and runs again only where it has no answer."""
    muddled = _muddle(slow_house, steps)
    with muddled.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        for _ in range(steps):
            await muddled.step()
        let_deadline_pass(muddled, submission.id, then)
        status = await muddled.until_rest(submission.id)

    found = results_of(muddled, submission.id)
    assert status.ended
    assert found.total() == status.counts.total == len(PROMPTS)
    assert found[Outcome.SUCCEEDED] == status.counts.succeeded
    assert await running_jobs(muddled) == []
    assert len(slow_house.simulator.accepted) <= len(batches_of(muddled, submission.id))
    if then is OnDeadline.RERUN:
        assert status.counts.succeeded == len(PROMPTS)
        assert submission_of(muddled, submission.id).rounds <= 1
