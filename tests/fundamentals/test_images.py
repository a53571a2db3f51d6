"""AutoML image classification from rows to labels: matched without keys, in its own place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from tests.fundamentals.house import House
from vertexq import BadInput, Outcome, Result, Status, SubmissionState
from vertexq.model import GcsUri
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.kinds.automl_image import LABELS

MODEL = "projects/demo/locations/us-central1/models/77"
STAGING = GcsUri(bucket="staging")


async def run(house: House, rows: str | Iterable[object], **asked: Any) -> tuple[Status, dict[str, Result]]:
    """Submit images, go on until nothing more happens, and read the results by key."""
    house.simulator.models.add("77", kind="automl-image", display_name="flowers")
    with house.client() as client:
        given: dict[str, Any] = {"model": MODEL, "family": "automl-image", "store": "results", **asked}
        submission = client.submit(rows, **given)
        status = await house.until_rest(submission.id)
        return status, {result.key: result for result in client.results(submission.id)}


@pytest.mark.parametrize("inline", [True, False])
async def test_each_image_gets_its_labels_or_its_error(house: House, *, inline: bool) -> None:
    """Wherever Google writes errors: they count as Google counts them, and the sums agree."""
    house.simulator.behaviours.set(Behaviour(errors_inline=inline, ids_as_text=inline, shards=3))
    images = [f"gs://photos/{'missing-' if number % 5 == 0 else ''}{number}.jpg" for number in range(50)]

    status, found = await run(house, images)

    assert (status.state, status.counts.succeeded, status.counts.failed) == (SubmissionState.DONE, 40, 10)
    assert {(row.error_code, row.reason) for row in found.values() if row.outcome == Outcome.FAILED} == {
        (404, "NOT_FOUND")
    }
    assert {key for key, row in found.items() if row.outcome == Outcome.FAILED} == set(
        map(str, range(0, 50, 5))
    )
    assert all(row.text == row.parsed[0]["label"] for row in found.values() if row.parsed)
    assert status.differences == ()
    written = [one.uri.name.rpartition("/")[2] async for one in house.services.storage.list(STAGING)]
    assert {"predictions_00001.jsonl", "predictions_00003.jsonl"} <= set(written)
    assert ("errors_00001.jsonl" in written) is not inline


async def test_labels_are_as_many_and_as_sure_as_was_asked_for(house: House) -> None:
    """The parameters go into the job; an image without a label over the threshold is an answer."""
    asked = {"confidenceThreshold": 0.3, "maxPredictions": 1}

    status, found = await run(house, [f"gs://photos/{number}.png" for number in range(30)], parameters=asked)

    labels = [row.parsed for row in found.values()]
    assert status.counts.succeeded == 30
    assert {len(each) for each in labels} == {0, 1}
    assert all(one["confidence"] >= 0.3 and one["label"] in LABELS for each in labels for one in each)
    assert all(
        (row.text, row.reason) == (None, "nothing_over_threshold") for row in found.values() if not row.parsed
    )


async def test_the_same_image_twice_is_two_rows(house: House) -> None:
    """Nothing tells their answers apart, so each row gets one of them, whichever failed."""
    house.simulator.behaviours.set(Behaviour(server_error_rows=0.3))
    images = [{"key": f"k{number}", "content": f"gs://photos/{number % 7}.jpg"} for number in range(70)]

    status, found = await run(house, images)

    assert len(found) == 70
    assert status.counts.succeeded + status.counts.failed == 70
    labels = Counter((int(key[1:]) % 7, row.text) for key, row in found.items() if row.text)
    assert len(labels) == 7
    assert status.counts.failed == sum(row.error_code == 500 for row in found.values())


async def test_rows_that_failed_are_tried_again(house: House) -> None:
    """Their lines are staged once more; the account stays exact."""
    house = house.with_options(retry_rounds=3, retry_wait_s=0.02)
    house.simulator.behaviours.set(Behaviour(server_error_rows=0.2, missing_rows=0.1))

    status, found = await run(house, [f"gs://photos/{number % 20}.jpg" for number in range(60)])

    assert (status.counts.succeeded, len(found)) == (60, 60)


async def test_rows_may_be_tried_again_with_a_newer_version(house: House) -> None:
    """Of the same family: a tuned model's name looks the same, and the family stays what was said."""
    house.simulator.behaviours.set(Behaviour(bad_rows=0.3))
    status, _ = await run(house, [f"gs://photos/{number}.jpg" for number in range(30)])
    house.simulator.behaviours.set(Behaviour())
    with house.client() as client:
        client.retry(status.id, outcomes=["failed"], model=f"{MODEL}@2")
        again = await house.until_rest(status.id)
        with pytest.raises(BadInput, match="reads others"):
            client.retry(status.id, outcomes=["failed"], model="gemini-2.5-flash")

    assert 0 < status.counts.failed < 30
    assert again.counts.succeeded == 30
    assert [create.model for create in house.simulator.accepted] == [MODEL, f"{MODEL}@2"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"location": "global"}, "an AutoML model has no batch jobs on global"),
        ({"location": "europe-west4"}, "give the location us-central1"),
        ({"model": "gemini-2.5-flash"}, "is not one of the family automl-image"),
        ({"parameters": {"maxPredictions": 0}}, "maxPredictions must be a whole number"),
        ({"destination": "bq://demo.labels.table"}, "a table name is not allowed here"),
        ({"destination": "bq://demo.labels"}, "by way of Cloud Storage"),
        ({"rows": [{"content": "gs://photos/notes.txt"}]}, "does not end in one of"),
        ({"rows": "bq://demo.images.table"}, "put the rows in Cloud Storage"),
    ],
)
async def test_what_google_would_refuse_is_refused_at_once(
    house: House, asked: dict[str, Any], sentence: str
) -> None:
    """With the sentence, and before anything is sent: the simulator has heard of nothing."""
    with pytest.raises(BadInput, match=sentence):
        await run(house, asked.pop("rows", ["gs://photos/1.jpg"]), **asked)

    assert house.simulator.faults.log() == []


@pytest.mark.parametrize("source", ["gs://staging/photos/", "gs://staging/photos/**.jpg"])
async def test_images_below_a_prefix_are_the_rows(house: House, source: str) -> None:
    """Each is called by its name; what is no image is left out below a prefix."""
    names = ["photos/a.jpg", "photos/deep/b.jpg", "photos/c.JPG.txt", "other/d.jpg"]
    for name in names:
        await house.services.storage.upload(GcsUri(bucket="staging", name=name), b"image")

    status, found = await run(house, source)

    assert status.state is SubmissionState.DONE
    assert set(found) == {"photos/a.jpg", "photos/deep/b.jpg"}
    log = house.simulator.faults.log("storage.objects.get")
    assert not [entry for entry in log if "photos" in entry.path]


@pytest.mark.parametrize("source", ["gs://photos/1.jpg", ["gs://photos/1.jpg", "gs://photos/2.webp"]])
async def test_images_by_their_addresses_are_rows(house: House, source: str | list[str]) -> None:
    """One, or a list of them: nothing is looked up, and they have numbers as keys."""
    status, found = await run(house, source)

    assert status.counts.succeeded == len(found) == (1 if isinstance(source, str) else 2)
    assert set(found) <= {"0", "1"}


async def test_images_and_lists_of_images_go_together(house: House) -> None:
    """An image that is named, one in a list, and those below a prefix; a list's rows may have keys."""
    for name in ("photos/a.jpg", "photos/b.png"):
        await house.services.storage.upload(GcsUri(bucket="staging", name=name), b"image")
    rows = b'{"key":"mine","content":"gs://elsewhere/c.jpg"}\n'
    await house.services.storage.upload(GcsUri(bucket="staging", name="list.jsonl"), rows)

    status, found = await run(house, ["gs://staging/photos/a.jpg", "gs://staging/list.jsonl"])

    assert (status.state, set(found)) == (SubmissionState.DONE, {"photos/a.jpg", "mine"})


async def test_a_prefix_without_an_image_is_refused(house: House) -> None:
    """With the sentence; nothing is uploaded but that."""
    await house.services.storage.upload(GcsUri(bucket="staging", name="notes/a.txt"), b"text")

    status, _ = await run(house, "gs://staging/notes/")

    assert status.state is SubmissionState.REJECTED
    assert "gs://staging/notes/ holds nothing that the model takes, among 1 objects" in status.reason
    assert house.simulator.accepted == []


async def test_a_bucket_elsewhere_is_refused_before_anything_is_sent(house: House) -> None:
    """Google wants the job's files in the job's region."""
    there = {"model": MODEL.replace("us-central1", "europe-west4"), "location": "europe-west4"}

    status, _ = await run(house, ["gs://photos/1.jpg"], **there)

    assert status.state is SubmissionState.PARKED
    assert "Google refuses that for this model; stage in a bucket of europe-west4" in status.reason
    assert house.simulator.accepted == []
    assert house.simulator.faults.log("storage.objects.insert") == []
