"""Cancel of a submission that waits for a person: whatever its batches waited for, it comes to its end."""

from __future__ import annotations

from tests.fundamentals.creating import CREATE, ID, LIST, PROMPTS, enqueued, left_sending, quick, the_batch
from tests.fundamentals.house import House
from vertexq import SubmissionState
from vertexq.ledger import Record
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState


async def test_while_its_output_could_not_be_read(house: House) -> None:
    """The job has ended and is paid for: once its output can be read, its rows are in the store."""
    denied = Fault(
        method="storage.objects.download", action=Action.REFUSE, status=403, times=None, match="predictions"
    )
    house.simulator.faults.add(denied)
    parked = await enqueued(quick(house))
    assert (parked.state, the_batch(house).next_action_at) == (SubmissionState.PARKED, None)
    assert the_batch(house).state is BatchState.ENDED

    house.simulator.faults.clear()
    with house.client() as client:
        client.cancel(ID)
    status = await house.until_rest(ID)

    assert (status.state, status.counts.succeeded) == (SubmissionState.CANCELLED, len(PROMPTS))


async def test_while_nobody_may_look_for_its_job(house: House) -> None:
    """The create had no answer and the list is forbidden: when it is allowed again, the job is found."""
    house.simulator.faults.add(Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP))
    house.simulator.faults.add(Fault(method=LIST, action=Action.REFUSE, status=403, times=None))
    parked = await enqueued(quick(house))
    assert (parked.state, the_batch(house).next_action_at) == (SubmissionState.PARKED, None)
    assert the_batch(house).state is BatchState.AMBIGUOUS

    house.simulator.faults.clear()
    with house.client() as client:
        client.cancel(ID)
    status = await house.until_rest(ID)

    assert status.state is SubmissionState.CANCELLED
    assert status.counts.total == len(PROMPTS)
    assert len(house.simulator.accepted) == 1


async def test_a_worker_that_dies_while_it_parks(house: House) -> None:
    """A batch that nothing is due for, of a submission that runs, is taken up again."""
    sending = await left_sending(house)
    house.services.ledger.update_batch(sending, next_action_at=None)
    house.services.ledger.hasten(Record.SUBMISSION, ID)

    status = await house.until_rest(ID)

    assert status.counts.succeeded == len(PROMPTS)
    assert len(house.simulator.accepted) == 1
