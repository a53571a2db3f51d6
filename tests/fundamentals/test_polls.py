"""Polls: one job that cannot be seen must not keep the others from being seen."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fundamentals.creating import ID, MODEL, PROMPTS
from tests.fundamentals.house import House
from vertexq.model import Batch
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

GET = "aiplatform.projects.locations.batchPredictionJobs.get"


def _batches(house: House) -> list[Batch]:
    return house.services.ledger.batches(ID)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_job_that_may_not_be_read_is_waited_for_alone(house: House, status: int) -> None:
    """The others end and are paid for; it stays bound, says why, and is neither lost nor made again."""
    house.simulator.behaviours.set(Behaviour(list_lag_s=1000.0))
    several = house.with_options(batch_rows=1, running_jobs=len(PROMPTS), poll_interval_s=1.0)
    with several.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id=ID)
    await several.until(lambda: all(batch.job_name for batch in _batches(house)) and bool(_batches(house)))
    hidden = next(batch for batch in _batches(house) if batch.state is BatchState.BOUND)
    number = hidden.job_name.rpartition("/")[2]
    house.simulator.faults.add(
        Fault(method=GET, action=Action.REFUSE, status=status, times=None, match=number)
    )

    states = Counter({BatchState.INGESTED: len(PROMPTS) - 1, BatchState.BOUND: 1})
    await several.until(lambda: Counter(batch.state for batch in _batches(house)) == states)
    await several.until(lambda: bool(house.services.ledger.batch(hidden.id).reason))
    still = house.services.ledger.batch(hidden.id)
    house.simulator.faults.clear()
    status_at_end = await several.until_rest(ID)

    assert (still.state, still.attempts) == (BatchState.BOUND, 0)
    assert str(status) in still.reason
    assert status_at_end.counts.succeeded == len(PROMPTS) == len(house.simulator.accepted)
