"""AutoML image classification, end to end: a producer's images through broker, worker, Google and store."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

import orjson

from tests.acceptance.families_house import OWN_MODELS, FamiliesHouse, Ran
from worker.stack import BUCKET

MODEL = f"{OWN_MODELS}/770001"
ROWS, IMAGES = 5_000, 3_500


def test_five_thousand_images_with_repeats_and_failures_are_accounted_for_exactly(
    families: FamiliesHouse,
) -> None:
    """Each row has what Google wrote for its image: its labels, or an error that lasts."""
    families.post(
        "/_simulator/models", {"model": "770001", "kind": "automl-image", "display_name": "flowers"}
    )
    families.behave("run=images", bad_rows=0.03, server_error_rows=0.02, missing_rows=0.005, shards=3)
    images = [_image(number % IMAGES) for number in range(ROWS)]
    source = families.put_rows(
        "images/list.jsonl", [{"key": f"k{number}", "content": image} for number, image in enumerate(images)]
    )

    ran = families.run(source, model=MODEL, family="automl-image", labels={"run": "images"})

    written = _written(families, ran)
    assert {key: _found(ran, key) for key in ran.results} == {
        f"k{number}": written[image] for number, image in enumerate(images)
    }
    counts = ran.status.counts
    assert (counts.succeeded, counts.failed) == _totals(written, images)
    assert (counts.missing, counts.quarantined, ran.status.sent_rows) == (0, 0, ROWS)
    assert counts.failed > ROWS // 50
    assert len(ran.batches) > 1  # rows were tried again


def test_images_below_a_prefix_are_classified(families: FamiliesHouse) -> None:
    """The prefix is the input; each image's row is called by its name."""
    families.post(
        "/_simulator/models", {"model": "770002", "kind": "automl-image", "display_name": "flowers"}
    )
    names = [f"photos/{number}.jpg" for number in range(20)]
    for name in [*names, "photos/readme.txt"]:
        families.put(name, b"image")

    ran = families.run(f"gs://{BUCKET}/photos/", model=f"{OWN_MODELS}/770002", family="automl-image")

    assert ran.status.counts.succeeded == 20
    assert set(ran.results) == set(names)
    directory = families.job(ran.batches[0])["outputInfo"]["gcsOutputDirectory"]
    assert "/prediction-flowers-" in directory


def _image(number: int) -> str:
    return f"gs://photos/{'missing-' if number % 40 == 0 else ''}{number}.jpg"


def _found(ran: Ran, key: str) -> object:
    """Return a row's labels as Google writes them, or its error's word."""
    result = ran.results[key]
    return result.response if result.outcome == "succeeded" else result.reason


def _totals(written: dict[str, object], images: list[str]) -> tuple[int, int]:
    kinds = Counter(isinstance(written[image], str) for image in images)
    return kinds[False], kinds[True]


def _written(families: FamiliesHouse, ran: Ran) -> dict[str, object]:
    """Read what Google wrote for each image in any of its files: labels, which outdo an error that passed."""
    found: dict[str, object] = {}
    for batch in ran.batches:
        directory = families.job(batch)["outputInfo"]["gcsOutputDirectory"]
        for line in _lines(families, directory):
            error = line.get("error")
            image = line.get("instance", line)["content"]
            if error is None:
                found[image] = line["prediction"]
            elif error["code"] != 13:
                found.setdefault(image, {3: "INVALID_ARGUMENT", 5: "NOT_FOUND"}[error["code"]])
    return found


def _lines(families: FamiliesHouse, directory: str) -> list[dict[str, Any]]:
    prefix = directory.removeprefix(f"gs://{BUCKET}/") + "/"
    listed = families.get(f"/storage/v1/b/{BUCKET}/o?prefix={quote(prefix, safe='')}")
    names = [item["name"] for item in listed["items"]]
    return [
        orjson.loads(line) for name in names for line in families.read(f"gs://{BUCKET}/{name}").splitlines()
    ]
