"""Tuned Gemini: a project's own model, in its own place, of the kind it was submitted as."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fundamentals.house import House
from vertexq import BadInput, Status, SubmissionState
from vertexq.model import PUSD_PER_USD
from vertexq.simulator.faults import Action, Fault

MODEL = "projects/demo/locations/us-central1/models/17"


async def run(house: House, model: str = MODEL) -> Status:
    """Submit two rows and go on until nothing more happens."""
    with house.client() as client:
        submission = client.submit(["Say one", "Say two"], model=model, store="results")
    return await house.until_rest(submission.id)


def uploads(house: House) -> int:
    """Return how often anything was uploaded."""
    return len(house.simulator.faults.log("storage.objects.insert"))


@pytest.mark.parametrize("version", ["", "@2"])
async def test_a_tuned_model_answers_as_gemini_does(house: House, version: str) -> None:
    """The job names the model, with its version, and its rows are Gemini's."""
    status = await run(house, MODEL + version)

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 2)
    assert [create.model for create in house.simulator.accepted] == [MODEL + version]


async def test_a_tuned_model_costs_what_its_base_does(house: House) -> None:
    """Google says from what it was tuned; the estimate and what is answered have the base's price."""
    tuned, base = await run(house), await run(house, "gemini-2.5-flash")

    (batch,) = house.services.ledger.batches(tuned.id)
    (other,) = house.services.ledger.batches(base.id)
    assert (batch.priced_as, other.priced_as) == ("gemini-2.5-flash", "")
    assert batch.estimate == other.estimate
    assert tuned.cost_usd == batch.cost_pusd / PUSD_PER_USD > 0


async def test_the_worker_s_place_is_refused_before_anything_is_uploaded(house: House) -> None:
    """Without a location of its own the submission is rejected when it is staged, with the sentence."""
    status = await run(house, "projects/demo/locations/europe-west4/models/17")

    assert (status.state, uploads(house), house.simulator.accepted) == (SubmissionState.REJECTED, 0, [])
    assert "give the location europe-west4" in status.reason


async def test_a_request_for_global_is_refused_at_once(house: House) -> None:
    """The producer gets the reason; nothing is enqueued."""
    with house.client() as client:
        with pytest.raises(BadInput, match="a tuned Gemini model has no batch jobs on global"):
            client.submit(["Say one"], model=MODEL, store="results", location="global")

        assert client.list() == []


async def test_a_worker_on_global_refuses_a_tuned_model(house: House) -> None:
    """Also when only the worker says that jobs run on global."""
    options = replace(house.services.options, location="global")
    there = replace(house, services=replace(house.services, options=options))

    status = await run(there)

    assert (status.state, uploads(house)) == (SubmissionState.REJECTED, 0)
    assert "no batch jobs on global" in status.reason


async def test_an_automl_model_is_no_tuned_gemini(house: House) -> None:
    """Google says how a model was made; the sentence says what to write instead."""
    house.simulator.models.add("17", kind="automl-image", display_name="flowers")

    status = await run(house)

    assert (status.state, uploads(house)) == (SubmissionState.REJECTED, 0)
    assert "is an AutoML model and was submitted as gemini-tuned" in status.reason
    assert "--family automl-image" in status.reason


async def test_a_model_of_another_project_is_refused(house: House) -> None:
    """Google runs jobs in the project of their model."""
    status = await run(house, MODEL.replace("demo", "another-one"))

    assert (status.state, uploads(house)) == (SubmissionState.REJECTED, 0)
    assert "give the project another-one" in status.reason


async def test_a_model_that_may_not_be_seen_is_tried(house: House) -> None:
    """What cannot be found out keeps nobody back; the job itself may be allowed."""
    look_up = "aiplatform.projects.locations.models.get"
    house.simulator.faults.add(Fault(method=look_up, action=Action.REFUSE, status=403, times=9))

    status = await run(house)

    assert status.state is SubmissionState.DONE
