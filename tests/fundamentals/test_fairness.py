"""Fairness: few slots, many submissions of one team, and still nobody waits for days."""

from __future__ import annotations

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import MODEL, PROMPTS, STUCK, batches_of, states_of
from vertexq import SubmissionState
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"


async def test_a_small_submission_goes_next_when_slots_are_scarce(house: House) -> None:
    """Team A has taken all four slots and waits for more; then B's small one and A's urgent one come."""
    house.simulator.behaviours.set(STUCK)
    scarce = house.with_options(batch_rows=15, running_jobs=4)
    with scarce.client() as client:
        many = [client.submit(PROMPTS, model=MODEL, store="lines", tenant="a").id for _ in range(8)]
        await scarce.until(lambda: len(house.simulator.accepted) == 4)
        await scarce.until(lambda: all(len(batches_of(house, one)) == 2 for one in many))
        small = client.submit(["Say it"], model=MODEL, store="lines", tenant="b").id
        urgent = client.submit(["Say it"], model=MODEL, store="lines", tenant="a", priority=9).id
        await scarce.until(lambda: all(states_of(house, one)[BatchState.READY] for one in (small, urgent)))
        house.simulator.behaviours.clear()
        for one in (small, urgent, *many):
            assert (await scarce.until_rest(one)).state is SubmissionState.DONE

    of = {batch.id: batch.submission_id for one in (small, urgent, *many) for batch in batches_of(house, one)}
    order = [of[create.display_name] for create in house.simulator.accepted]
    assert set(order[4:6]) == {small, urgent}
    assert len(order) == 18


async def test_no_more_jobs_run_than_there_are_slots(house: House) -> None:
    """What waits is handed out as jobs end; in the end everything has run once."""
    narrow = house.with_options(batch_rows=2, running_jobs=3)
    with narrow.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        most = 0
        while not client.get(submission.id).ended:
            await narrow.step()
            states = states_of(house, submission.id)
            most = max(most, states[BatchState.BOUND] + states[BatchState.SENDING])

    assert most == 3
    assert len(house.simulator.accepted) == 15


async def test_a_batch_that_was_refused_does_not_stop_the_others(house: House) -> None:
    """The submission is parked; jobs that run are still polled and their answers read into the store."""
    several = house.with_options(batch_rows=10)
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403, skip=2))
    house.simulator.behaviours.set(STUCK)
    with several.client() as client:
        submission = client.submit(PROMPTS, model=MODEL, store="results")
        parked = await several.until_rest(submission.id)
        house.simulator.behaviours.clear()
        await several.until(lambda: states_of(house, submission.id)[BatchState.INGESTED] == 2)
        results = list(client.results(submission.id))

    assert parked.state is SubmissionState.PARKED
    assert client.get(submission.id).state is SubmissionState.PARKED
    assert len(results) == 20


async def test_a_parked_submission_leaves_its_slots_to_others(house: House) -> None:
    """What waits of it is passed over, and takes its turn when it goes on."""
    one_slot = house.with_options(batch_rows=10, running_jobs=1)
    house.simulator.faults.add(Fault(method=CREATE, action=Action.REFUSE, status=403))
    with one_slot.client() as client:
        first = client.submit(PROMPTS, model=MODEL, store="results", id="first")
        await one_slot.until_rest(first.id)
        second = client.submit(PROMPTS, model=MODEL, store="results")
        done = await one_slot.until_rest(second.id)
        client.submit(PROMPTS, model=MODEL, store="results", id="first")
        again = await one_slot.until_rest(first.id)

    assert done.state is again.state is SubmissionState.DONE
    assert len(house.simulator.accepted) == 6
