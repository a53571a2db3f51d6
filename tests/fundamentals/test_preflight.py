"""Finding out before paying: what is sure to fail parks the submission; nothing is uploaded, nothing paid."""

from __future__ import annotations

import asyncio

import pytest

from tests.fundamentals.house import House
from vertexq import SubmissionState
from vertexq.errors import NotFound, Refused
from vertexq.model import Submission
from vertexq.simulator.faults import Action, Fault
from vertexq.steps.preflight import preflight

MODEL = "gemini-2.5-flash"
LOOK_UP = "aiplatform.publishers.models.get"


def enqueued(house: House, model: str = MODEL, name: str = "one") -> Submission:
    """Return a submission that waits."""
    with house.client() as client:
        client.submit(["Say hello"], model=model, store="results", id=name)
    return house.services.ledger.submission(name)


def lookups(house: House, method: str = LOOK_UP) -> int:
    """Return how often the simulator was asked."""
    return len(house.simulator.faults.log(method))


async def test_a_retired_model_parks_before_anything_is_sent(house: House) -> None:
    """The sentence says what to do; enqueued again when the model is back, the submission runs."""
    house.simulator.models.retire(MODEL)
    submission = enqueued(house)

    parked = await house.until_rest(submission.id)
    uploaded = house.simulator.faults.log("storage.objects.insert")

    assert (parked.state, uploaded, house.simulator.accepted) == (SubmissionState.PARKED, [], [])
    assert "or is retired; take another model" in parked.reason

    house.simulator.models.clear()
    enqueued(house)
    assert (await house.until_rest(submission.id)).state is SubmissionState.DONE


async def test_a_right_that_is_missing_parks_and_what_is_mended_goes_on(house: House) -> None:
    """Without storage.objects.create nothing could be staged; nothing is paid for."""
    house.simulator.access.deny("staging", "storage.objects.create")
    submission = enqueued(house)

    parked = await house.until_rest(submission.id)

    assert (parked.state, house.simulator.accepted) == (SubmissionState.PARKED, [])
    assert "lack storage.objects.create on gs://staging/vertexq" in parked.reason

    house.simulator.access.clear()
    enqueued(house)
    assert (await house.until_rest(submission.id)).state is SubmissionState.DONE


async def test_what_google_does_not_say_keeps_nobody_back(house: House) -> None:
    """Every look is refused: the submission runs."""
    for method in (LOOK_UP, "storage.buckets.*", "aiplatform.projects.locations.batchPredictionJobs.list"):
        house.simulator.faults.add(Fault(method=method, action=Action.REFUSE, status=403, times=3))

    await preflight(house.services, enqueued(house))


async def test_of_many_that_ask_at_once_one_looks_and_for_some_minutes_nobody_does(house: House) -> None:
    """A hundred submissions of one model cost one look-up."""
    submissions = [enqueued(house, name=f"s{number}") for number in range(100)]

    await asyncio.gather(*[preflight(house.services, one) for one in submissions])
    await preflight(house.services, submissions[0])

    assert lookups(house) == 1
    assert lookups(house, "storage.buckets.testIamPermissions") == 1


async def test_a_finding_that_keeps_a_submission_back_is_not_remembered(house: House) -> None:
    """Whoever mends it need not wait."""
    submission = enqueued(house)
    house.simulator.models.retire(MODEL)
    with pytest.raises(NotFound):
        await preflight(house.services, submission)
    house.simulator.models.clear()

    await preflight(house.services, submission)

    assert lookups(house) == 2


async def test_whoever_gives_up_waiting_does_not_stop_the_look_for_others(house: House) -> None:
    """A lease that is lost ends one submission's preflight, not that of those who wait with it."""
    house.simulator.access.deny("staging", "storage.objects.get")
    house.simulator.faults.add(
        Fault(method="storage.buckets.*", action=Action.DELAY, delay_s=0.2, times=None)
    )
    first = asyncio.create_task(preflight(house.services, enqueued(house)))
    second = asyncio.create_task(preflight(house.services, enqueued(house)))
    await asyncio.sleep(0)
    first.cancel()

    with pytest.raises(Refused, match="lack storage"):
        await second


async def test_a_house_that_only_wants_warnings_gets_them(house: House) -> None:
    """VERTEXQ_PREFLIGHT=warn, for a Google that answers otherwise than we know."""
    house.simulator.models.retire(MODEL)

    await preflight(house.with_options(preflight_parks=False).services, enqueued(house))
