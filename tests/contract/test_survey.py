"""What is found out before anything is paid: one look, one finding; only what is certain is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.fake_gcs import running_fake_gcs
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.model import GcsUri
from vertexq.simulator.access import agent
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.steps.survey import Place, Surveyor, Weight

NUMBER = "123456789012"
BODY = {
    "displayName": "one",
    "model": "publishers/google/models/gemini-2.5-flash",
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://staging/in.jsonl"]}},
    "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://staging/out"}},
}
STAGING = GcsUri(bucket="staging", name="vertexq")


@dataclass(frozen=True)
class Field:
    """A simulated Google, and who looks at it."""

    simulator: Simulator
    storage: Storage
    vertex: Vertex

    @property
    def surveyor(self) -> Surveyor:
        """Return one that takes its time."""
        return Surveyor(self.storage, self.vertex)


@pytest.fixture
async def field() -> AsyncIterator[Field]:
    """Run a simulator with one bucket, in US."""
    async with (
        Simulator(buckets=["staging"], timing=Timing.fast()) as simulator,
        Transport(await default_tokens(emulator=True)) as transport,
    ):
        storage = Storage(transport, endpoint=simulator.url)
        vertex = Vertex(transport, endpoint=simulator.url)
        yield Field(simulator, storage, vertex)


async def test_a_bucket_with_all_rights_is_fine(field: Field) -> None:
    """Nothing is denied."""
    found = await field.surveyor.staging(STAGING)

    assert found.weight is Weight.FINE


async def test_a_bucket_that_is_not_there_is_an_error(field: Field) -> None:
    """The sentence names it."""
    found = await field.surveyor.staging(GcsUri(bucket="nowhere"))

    assert found.weight is Weight.ERROR
    assert "there is no bucket gs://nowhere" in found.text


@pytest.mark.parametrize("right", ["storage.objects.create", "storage.objects.get", "storage.objects.list"])
async def test_a_right_that_is_missing_is_an_error_that_names_the_role(field: Field, right: str) -> None:
    """Without it a job would be paid for and its answers not read."""
    field.simulator.access.deny("staging", right)

    found = await field.surveyor.staging(STAGING)

    assert found.weight is Weight.ERROR
    assert right in found.text
    assert "roles/storage.objectAdmin" in found.text


@pytest.mark.parametrize("right", ["storage.objects.create", "storage.objects.get", "storage.objects.list"])
async def test_a_right_that_holds_for_the_staging_place_only_is_enough(field: Field, right: str) -> None:
    """A condition may grant it below a prefix; the bucket as a whole then says no, and is not believed."""
    field.simulator.access.deny("staging", right, except_below="vertexq/")

    found = await field.surveyor.staging(STAGING)

    assert found.weight is Weight.FINE, found


async def test_a_right_that_only_tidies_is_no_error(field: Field) -> None:
    """Without storage.objects.delete an interrupted staging cannot be replaced: a warning."""
    field.simulator.access.deny("staging", "storage.objects.delete")

    assert (await field.surveyor.staging(STAGING)).weight is Weight.WARNING


async def test_a_source_needs_reading_only(field: Field) -> None:
    """Nobody writes there."""
    source = GcsUri(bucket="staging", name="rows/*.jsonl")
    field.simulator.access.deny("staging", "storage.objects.create", "storage.objects.delete")

    assert (await field.surveyor.source(source)).weight is Weight.FINE
    field.simulator.access.deny("staging", "storage.objects.get")
    assert (await field.surveyor.source(source)).weight is Weight.ERROR


@pytest.mark.parametrize(
    ("location", "strict", "weight"),
    [
        ("us-central1", False, Weight.FINE),
        ("global", True, Weight.FINE),
        ("us", True, Weight.FINE),
        ("europe-west4", False, Weight.WARNING),
        ("europe-west4", True, Weight.ERROR),
    ],
)
async def test_a_bucket_elsewhere_is_a_warning_unless_the_model_demands_more(
    field: Field,
    location: str,
    strict: bool,  # noqa: FBT001  (a table's column)
    weight: Weight,
) -> None:
    """The bucket is in the multi-region US."""
    found = await field.surveyor.region("staging", location, strict=strict)

    assert found.weight is weight


async def test_metadata_that_may_not_be_read_keeps_nobody_back(field: Field) -> None:
    """``roles/storage.objectAdmin`` has no storage.buckets.get."""
    field.simulator.access.deny("staging", "storage.buckets.get", "storage.buckets.getIamPolicy")

    assert (await field.surveyor.region("staging", "us-central1", strict=True)).weight is Weight.UNKNOWN
    assert (await field.surveyor.agent("staging", NUMBER, "us-central1")).weight is Weight.UNKNOWN


async def test_a_service_agent_without_a_binding_is_warned_of(field: Field) -> None:
    """The policy can be read, and it names somebody else."""
    field.simulator.access.set_policy("staging", {"bindings": [{"role": "r", "members": [agent("999")]}]})

    found = await field.surveyor.agent("staging", NUMBER, "us-central1")

    assert found.weight is Weight.WARNING
    assert f"service-{NUMBER}@gcp-sa-aiplatform" in found.text
    assert "roles/storage.objectAdmin" in found.text


async def test_the_number_of_a_project_is_learnt_from_a_job(field: Field) -> None:
    """Before the first job it is not known, and afterwards the policy names the agent."""
    before = await field.surveyor.agent("staging", "demo", "us-central1")
    await field.vertex.create("demo", "us-central1", BODY)
    after = await field.surveyor.agent("staging", "demo", "us-central1")

    assert (before.weight, after.weight) == (Weight.UNKNOWN, Weight.FINE)


@pytest.mark.parametrize(
    "model", ["gemini-2.5-flash", "gemini-2.0-flash-001", "projects/demo/locations/us-central1/models/17@2"]
)
async def test_a_model_that_is_there_is_fine(field: Field, model: str) -> None:
    """Publishers' models, with and without a version, and a project's own."""
    assert (await field.surveyor.model("us-central1", model)).weight is Weight.FINE


@pytest.mark.parametrize("location", ["global", "europe-west4"])
async def test_a_place_where_a_model_has_no_jobs_is_an_error(field: Field, location: str) -> None:
    """Google is not asked: the family knows where its jobs run."""
    found = await field.surveyor.model(location, "projects/demo/locations/us-central1/models/17")

    assert found.weight is Weight.ERROR
    assert field.simulator.faults.log("*models.get") == []


async def test_an_endpoint_is_looked_at_for_what_it_serves(field: Field) -> None:
    """One that is not there is an error: its jobs could name no model."""
    endpoint = "projects/demo/locations/us-central1/endpoints/99"

    found = await field.surveyor.model("us-central1", endpoint)

    assert found.weight is Weight.ERROR
    assert "99" in found.text


@pytest.mark.parametrize(
    "model", ["gemini-1.5-flash", "gemini-1.5-flash-002", "projects/demo/locations/us-central1/models/gone"]
)
async def test_a_model_that_is_retired_is_an_error(field: Field, model: str) -> None:
    """A version is known where its model is, so both must be gone."""
    field.simulator.models.retire("gemini-1.5-flash", "gemini-1.5-flash-002", "gone")

    found = await field.surveyor.model("us-central1", model)

    assert found.weight is Weight.ERROR
    assert "or is retired" in found.text


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_look_that_is_refused_or_fails_is_unknown(field: Field, status: int) -> None:
    """A page of a proxy, a right that is missing, a service that is down: none is the model's fault."""
    fault = Fault(
        method="aiplatform.publishers.*", action=Action.REFUSE, status=status, note="html", times=None
    )
    field.simulator.faults.add(fault)

    found = await field.surveyor.model("us-central1", "gemini-2.5-flash")

    assert found.weight is Weight.UNKNOWN


async def test_a_google_that_hangs_is_unknown(field: Field) -> None:
    """A look has a time; nobody waits for ever before work has even begun."""
    field.simulator.faults.add(Fault(method="storage.*", action=Action.DELAY, delay_s=30.0, times=None))

    found = await Surveyor(field.storage, field.vertex, look_s=0.2).staging(STAGING)

    assert found.weight is Weight.UNKNOWN


async def test_an_emulator_that_knows_no_rights_keeps_nobody_back(tmp_path: Path, field: Field) -> None:
    """fake-gcs-server, somebody else's Cloud Storage, has buckets and no permissions."""
    (tmp_path / "staging").mkdir()
    with running_fake_gcs("-data", str(tmp_path)) as url:
        async with Transport(await default_tokens(emulator=True)) as transport:
            surveyor = Surveyor(Storage(transport, endpoint=url), field.vertex)

            found = [
                await surveyor.staging(STAGING),
                await surveyor.source(STAGING.join("rows.jsonl")),
                await surveyor.region("staging", "us-central1", strict=True),
                await surveyor.agent("staging", NUMBER, "us-central1"),
            ]

    assert [one.about for one in found if one.weight in (Weight.ERROR, Weight.WARNING)] == [], found


async def test_each_thing_that_a_place_depends_on_is_looked_at_once(field: Field) -> None:
    """Many submissions share their looks; of many sources in one bucket the first stands for all."""
    sources = (GcsUri(bucket="a", name="x"), GcsUri(bucket="a", name="y"), GcsUri(bucket="b", name="z"))
    place = Place(project="p", location="l", model="gemini-2.5-flash", staging=STAGING, sources=sources)

    keys = field.surveyor.looks(place).keys()

    assert {key[:2] for key in keys if key[0] == "source"} == {("source", "gs://a/x"), ("source", "gs://b/z")}
    assert len(keys) == 6


async def test_buckets_that_jobs_read_themselves_are_looked_at_like_staging(field: Field) -> None:
    """Where sources are used as they are, the service agent reads them."""
    sources = (GcsUri(bucket="a", name="x"), GcsUri(bucket="staging", name="y"))
    place = Place(project="p", location="l", staging=STAGING, sources=sources, read_in_place=True)

    keys = {key[:2] for key in field.surveyor.looks(place)}

    assert {bucket for about, bucket in keys if about == "agent"} == {"a", "staging"}
    assert {bucket for about, bucket in keys if about == "region"} == {"a", "staging"}
