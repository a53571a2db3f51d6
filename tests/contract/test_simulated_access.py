"""What the simulator can be told about rights, policies, models and duplicates, in Python and over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.simulated_jobs import BUCKET, JOBS, Desk, body, desk, keyed, state_of
from vertexq.errors import NotFound
from vertexq.simulator.access import agent

MODEL = "gemini-2.5-flash"


@pytest.fixture
async def table() -> AsyncIterator[Desk]:
    """Run a simulator with three prompts."""
    async with desk(rows=keyed(3)) as made:
        yield made


async def test_a_job_fails_at_its_end_where_the_service_agent_may_not_write(table: Desk) -> None:
    """As Google does: the rows have run, code 7, and the agent's name stands in the message."""
    table.simulator.access.set_policy(BUCKET, {"bindings": []})

    job = await table.ran()

    assert state_of(job) == "FAILED"
    assert job["error"]["code"] == 7
    number = job["name"].split("/")[1]
    assert agent(number).removeprefix("serviceAccount:") in job["error"]["message"]


async def test_a_job_runs_where_the_policy_names_its_service_agent(table: Desk) -> None:
    """A policy that was set is a policy that holds."""
    number = (await table.ran())["name"].split("/")[1]
    table.simulator.access.set_policy(BUCKET, {"bindings": [{"role": "r", "members": [agent(number)]}]})

    assert state_of(await table.ran()) == "SUCCEEDED"


async def test_what_callers_are_denied_a_job_still_has(table: Desk) -> None:
    """The rights are the caller's; Vertex AI reads and writes with its own."""
    table.simulator.access.deny(BUCKET, "storage.objects.get", "storage.objects.create")

    assert state_of(await table.ran()) == "SUCCEEDED"


async def test_rights_are_told_asked_and_forgotten_over_http(table: Desk) -> None:
    """As faults are."""
    told = {
        "bucket": BUCKET,
        "denied": ["storage.objects.list"],
        "except_below": "mine/",
        "policy": {"etag": "x"},
    }
    path = "/_simulator/access"

    status, said = await table.call("POST", path, json=told)
    denied, _ = await table.call("GET", f"/storage/v1/b/{BUCKET}/o")
    bad, _ = await table.call("POST", path, json={"bucket": 3})
    _, forgotten = await table.call("DELETE", path)

    assert (status, denied, bad) == (200, 403, 400)
    assert said["denied"] == {BUCKET: {"storage.objects.list": "mine/"}}
    assert forgotten == {"denied": {}, "policies": {}}


async def test_a_retired_model_is_neither_known_nor_run(table: Desk) -> None:
    """404 for both, as with Google; cleared, it is back."""
    path = f"/v1/publishers/google/models/{MODEL}"
    await table.call("POST", "/_simulator/models", json={"model": MODEL})
    looked, _ = await table.call("GET", path)
    created, said = await table.call("POST", JOBS, json=body())
    await table.call("DELETE", "/_simulator/models")

    assert (looked, created) == (404, 404)
    assert said["error"]["message"] == f"The PublisherModel {MODEL} does not exist."
    assert (await table.call("GET", path))[0] == 200


async def test_a_model_may_be_offered_elsewhere_only(table: Desk) -> None:
    """A job is refused where it is not; a look-up, which names no place, finds it."""
    await table.call("POST", "/_simulator/models", json={"model": MODEL, "locations": ["global"]})

    here, _ = await table.call("POST", JOBS, json=body())
    there, _ = await table.call("POST", JOBS.replace("us-central1", "global"), json=body())

    assert (here, there) == (404, 200)
    assert (await table.call("GET", f"/v1/publishers/google/models/{MODEL}"))[0] == 200


async def test_an_own_model_is_what_it_was_added_as(table: Desk) -> None:
    """Its kind, name and place are told; any other own model is a tuned one."""
    mine = {"model": "12", "kind": "automl-image", "display_name": "flowers", "location": "us-central1"}
    added, _ = await table.call("POST", "/_simulator/models", json=mine)
    bad, said = await table.call("POST", "/_simulator/models", json={"model": "13", "kind": "other"})

    models = "/v1/projects/p/locations/us-central1/models"
    _, flowers = await table.call("GET", f"{models}/12@1")
    elsewhere, _ = await table.call("GET", f"{models.replace('us-central1', 'europe-west4')}/12")
    _, tuned = await table.call("GET", f"{models}/14")

    assert (added, bad, elsewhere) == (200, 400, 404)
    assert "automl-image" in said["error"]
    assert (flowers["displayName"], flowers["modelSourceInfo"]["sourceType"]) == ("flowers", "AUTOML")
    assert tuned["modelSourceInfo"]["sourceType"] == "GENIE"


async def test_a_create_can_be_accepted_twice(table: Desk) -> None:
    """The duplicate has the same body and labels; both are in the log of what would be paid for."""
    first = await table.create(labels={"vertexq": "b1"})

    _, said = await table.call("POST", "/_simulator/creates", json={"display_name": "b1"})
    second = await table.ended(said["name"])
    none, _ = await table.call("POST", "/_simulator/creates", json={"display_name": "b2"})

    assert none == 400
    assert second["name"] != first["name"]
    assert (second["labels"], second["outputConfig"]) == (first["labels"], first["outputConfig"])
    assert [one.name for one in table.simulator.accepted] == [first["name"], second["name"]]


async def test_what_was_never_accepted_cannot_be_accepted_again(table: Desk) -> None:
    """A test that asks for it has a mistake."""
    with pytest.raises(NotFound, match="b9"):
        table.simulator.create_again("b9")
