"""Texts become vectors: every row once, whatever else has the same text."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.fundamentals.house import House
from vertexq import Outcome, Result
from vertexq.google.messages import job_body
from vertexq.simulator.behaviour import Behaviour, Echo
from vertexq.steps.storebook import StoreBook

LEGACY, GEMINI = "text-embedding-005", "gemini-embedding-001"


async def embedded(house: House, rows: list[Any], **asked: Any) -> dict[str, Result]:
    """Submit rows, wait for the end, and return the results by key."""
    with house.client() as client:
        submission = client.submit(rows, store="results", **asked)
        status = await house.until_rest(submission.id)
        results = {one.key: one for one in client.results(submission.id)}
    assert status.counts.total == len(rows) == len(results)
    return results


@pytest.mark.parametrize(("model", "dimensions"), [(LEGACY, 768), (GEMINI, 3_072)])
async def test_a_text_becomes_a_vector_with_its_norm_and_tokens(
    house: House, model: str, dimensions: int
) -> None:
    """The values stand in a column of their own, and Google's object keeps the rest."""
    found = (await embedded(house, ["A short text to embed"], model=model))["0"]

    assert found.outcome is Outcome.SUCCEEDED
    assert found.embedding is not None
    assert len(found.embedding) == dimensions
    assert found.embedding_norm == pytest.approx(math.hypot(*found.embedding))
    assert (found.prompt_tokens, found.total_tokens, found.text) == (5, 5, None)
    assert b"values" not in repr(found.response).encode()


@pytest.mark.parametrize("model", [LEGACY, GEMINI])
async def test_rows_with_the_same_text_have_their_vector_each(house: House, model: str) -> None:
    """Nothing but the text comes back of a text embedding model; rows are told apart by their number."""
    rows = [{"key": f"k{number}", "content": f"Text {number % 7}"} for number in range(60)]

    found = await embedded(house, rows, model=model)

    vectors = {(number % 7, str(found[f"k{number}"].embedding)) for number in range(60)}
    assert len(vectors) == 7
    assert {one.outcome for one in found.values()} == {Outcome.SUCCEEDED}


@pytest.mark.parametrize("model", [LEGACY, GEMINI])
async def test_failing_rows_are_failed_and_missing_ones_missing_once_each(house: House, model: str) -> None:
    """Also among twins: as many rows of a text are answered as answers came back."""
    house.simulator.behaviours.set(Behaviour(quota_rows=0.2, missing_rows=0.2, bad_rows=0.05))
    rows = [{"key": f"k{number}", "content": f"Text {number % 30}"} for number in range(150)]

    found = await embedded(house, rows, model=model)

    counts = {outcome: sum(one.outcome is outcome for one in found.values()) for outcome in Outcome}
    assert all(counts[one] > 5 for one in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.MISSING))
    assert all((one.embedding is not None) == one.ok for one in found.values())


async def test_twins_in_several_ranges_and_files_have_an_answer_each(house: House) -> None:
    """Ranges of rows that look alike are read in turn, and what a running job has exported is left alone."""
    house.simulator.behaviours.set(Behaviour(incremental_rows=5, shards=2, quota_rows=0.2))
    several = house.with_options(range_bytes=60_000, chunk_rows=3).muddled(Random(7))
    rows = [{"key": f"k{number}", "content": f"Text {number % 7}"} for number in range(60)]

    found = await embedded(several, rows, model=LEGACY)

    (status,) = {one.outcome for one in found.values() if one.error_code is None}
    assert status is Outcome.SUCCEEDED
    assert 5 < sum(one.error_code == 429 for one in found.values()) < 20


async def test_texts_that_come_back_as_numbers_find_their_rows(house: House) -> None:
    """``"007"`` comes back as 7 when all texts look like numbers; what may be two rows is not guessed."""
    house.simulator.behaviours.set(Behaviour(echo=Echo.COERCED))
    rows = [{"key": text, "content": text} for text in ("007", "12", "3.50", "9", "09")]

    found = await embedded(house, rows, model=LEGACY)

    outcomes = {key: one.outcome.value for key, one in found.items()}
    assert outcomes == dict.fromkeys(("007", "12", "3.50"), "succeeded") | dict.fromkeys(
        ("9", "09"), "missing"
    )


async def test_rows_that_are_tried_again_share_their_answers_as_before(house: House) -> None:
    """In a second round twins take an answer each, although earlier ones have failed for all of them."""
    patient = house.with_options(retry_rounds=3, retry_wait_s=0.0)
    house.simulator.behaviours.set(Behaviour(quota_rows=0.5))
    rows = [{"key": f"k{number}", "content": f"Text {number % 3}"} for number in range(40)]

    found = await embedded(patient, rows, model=LEGACY)

    assert sum(one.ok for one in found.values()) > 32
    assert {one.attempt for one in found.values()} > {1, 2}


@pytest.mark.parametrize("form", ["nested", "flat"])
async def test_options_for_all_rows_are_written_in_the_form_asked_for(house: House, form: str) -> None:
    """What a row says of itself wins; the vectors have the length that was asked for."""
    rows = [{"key": "a", "content": "One"}, {"key": "b", "content": "Two", "output_dimensionality": 128}]
    asked = {"dimensions": 64, "task_type": "CLUSTERING", "options_form": form}

    found = await embedded(house, rows, model=GEMINI, parameters=asked)

    lengths = {key: len(one.embedding or []) for key, one in found.items()}
    assert lengths == {"a": 64, "b": 128}


async def test_a_long_text_is_said_to_be_truncated(house: House) -> None:
    """The vector is there, of the beginning of the text; the reason says so. Live rows count elsewhere."""
    house.simulator.behaviours.set(Behaviour(embedding_usage=True))
    rows = {LEGACY: ["word " * 2_000], GEMINI: ["word " * 2_000]}

    found = [(await embedded(house, texts, model=model))["0"] for model, texts in rows.items()]

    assert [(one.ok, one.reason, one.prompt_tokens) for one in found] == [(True, "truncated", 2_048)] * 2
    assert all(one.truncated for one in found)


async def test_jobs_of_two_submissions_run_one_after_the_other(house: House) -> None:
    """Google runs one batch job of text embedding models at a time in a project, wherever it is."""
    several = house.with_options(batch_rows=20)
    rows = [f"Text {number}" for number in range(60)]
    with house.client() as client:
        ids = [
            client.submit(rows, model=LEGACY, store="results", location=place).id
            for place in ("us-central1", "europe-west4")
        ]
        done = [await several.until_rest(one) for one in ids]

    assert [one.counts.succeeded for one in done] == [60, 60]
    assert len(house.simulator.accepted) == 6
    assert house.simulator.overlaps == []


async def test_rows_of_a_job_that_met_somebody_elses_are_tried_again(slow_house: House) -> None:
    """Google ends it, as another one runs in the project that is not ours: that passes."""
    patient = slow_house.with_options(retry_rounds=5, retry_wait_s=0.3)
    with slow_house.client() as client:
        first = client.submit([f"Text {number}" for number in range(15)], model=LEGACY, store="results")
        await patient.until_rest(first.id)
        (batch,) = slow_house.services.ledger.batches(first.id)
        theirs = job_body(
            display_name="theirs",
            labels={},
            model=LEGACY,
            source=batch.input_uri,
            destination="gs://staging/x",
        )
        await slow_house.services.vertex.create("demo", "us-east1", theirs)
        second = client.submit(["One", "Two"], model=LEGACY, store="results")
        status = await patient.until_rest(second.id)

    assert status.counts.succeeded == 2
    assert slow_house.simulator.overlaps


@pytest.mark.parametrize(
    ("model", "parameters", "state"),
    [(GEMINI, {}, "rejected"), (GEMINI, {"dimensions": 8}, "done"), (LEGACY, {}, "rejected")],
)
async def test_vectors_that_fit_no_store_are_never_paid_for(
    house: House, model: str, parameters: dict[str, object], state: str
) -> None:
    """The store's URL says how long its vectors are, the model and its parameters how long they come."""
    stores = StoreBook({"results": f"sqlite:///{house.home}/results.db?vector=8"})
    house = replace(house, services=replace(house.services, stores=stores))
    with house.client() as client:
        submission = client.submit(["A text"], model=model, store="results", parameters=parameters)
        status = await house.until_rest(submission.id)
    await stores.close()

    assert status.state == state
    assert ("holds vectors of 8 numbers" in status.reason) == (state == "rejected")
    assert len(house.simulator.accepted) == (state == "done")
