"""Embeddings, end to end: a producer's texts through broker, worker, Google and store, failures and all."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson

from tests.acceptance.families_house import FamiliesHouse, Ran
from vertexq import Outcome, SubmissionState
from vertexq.families.row_status import parse_status

LEGACY, GEMINI = "text-embedding-005", "gemini-embedding-001"
ROWS, TEXTS = 5_000, 3_000
FAILING = {"bad_rows": 0.02, "quota_rows": 0.05, "server_error_rows": 0.02, "missing_rows": 0.02}


def rows(number: int, texts: int) -> list[dict[str, str]]:
    """Return rows of which some have the text of another."""
    return [{"key": f"k{n}", "content": f"The text of document {n % texts}"} for n in range(number)]


def written(families: FamiliesHouse, ran: Ran) -> Iterator[dict[str, Any]]:
    """Yield the lines that Google's jobs have written for a submission, round after round."""
    for batch in ran.batches:
        directory = families.job(batch)["outputInfo"]["gcsOutputDirectory"]
        yield from map(orjson.loads, families.read(f"{directory}/predictions.jsonl").splitlines())


def refused(line: dict[str, Any]) -> bool:
    """Tell whether a row failed for good."""
    return bool(line["status"]) and parse_status(line["status"]).code == 400


def single(values: list[float]) -> list[float]:
    """Return numbers as a store keeps those of vectors: in 32 bits, which is what Google calculates with."""
    return list(array("f", values))


def test_text_embeddings_are_matched_and_accounted_for_exactly(families: FamiliesHouse) -> None:
    """5,000 rows of 3,000 texts: of each text as many rows are answered and refused as lines came back."""
    sent = rows(ROWS, TEXTS)
    text_of = {row["key"]: row["content"] for row in sent}
    families.behave("who=legacy", **FAILING)

    ran = families.run(sent, model=LEGACY, labels={"who": "legacy"})

    lines = list(written(families, ran))
    vectors = {
        line["instance"]["content"]: single(line["predictions"][0]["embeddings"]["values"])
        for line in lines
        if not line["status"]
    }
    succeeded = [(key, one) for key, one in ran.results.items() if one.outcome is Outcome.SUCCEEDED]
    assert Counter(text_of[key] for key, _ in succeeded) == Counter(
        line["instance"]["content"] for line in lines if not line["status"]
    )
    assert all(one.embedding == vectors[text_of[key]] for key, one in succeeded)
    assert Counter(text_of[key] for key, one in ran.results.items() if one.error_code == 400) == Counter(
        line["instance"]["content"] for line in lines if refused(line)
    )
    assert ran.status.counts.total == len(ran.results) == ROWS
    assert len(ran.batches) > 1  # what passes was tried again


def test_gemini_embeddings_are_matched_and_accounted_for_exactly(families: FamiliesHouse) -> None:
    """The same, each row by its key, with vectors of the length that was asked for."""
    sent = rows(ROWS, TEXTS)
    families.behave("who=gemini", **FAILING)

    ran = families.run(sent, model=GEMINI, labels={"who": "gemini"}, parameters={"dimensions": 128})

    lines = list(written(families, ran))
    vectors = {
        _key(line): single(line["response"]["embedding"]["values"]) for line in lines if not line["status"]
    }
    assert {key: one.embedding for key, one in ran.results.items() if one.ok} == vectors
    assert {key for key, one in ran.results.items() if one.error_code == 400} == {
        _key(line) for line in lines if refused(line)
    }
    assert {len(vector) for vector in vectors.values()} == {128}
    assert ran.status.counts.total == len(ran.results) == ROWS


def test_jobs_of_text_embeddings_run_one_at_a_time(families: FamiliesHouse) -> None:
    """Two submissions at once, in two locations: the oracle never sees two running jobs."""
    sent = rows(400, 300)
    with families.client() as client:
        ids = [
            client.submit(sent, model=LEGACY, store="results", location=place).id
            for place in ("us-central1", "europe-west4")
        ]
        done = [client.wait(one, timeout_s=60) for one in ids]

    assert [(one.state, one.counts.succeeded) for one in done] == [(SubmissionState.DONE, 400)] * 2
    assert not families.get("/_simulator/overlaps")
    spans = sorted(_span(families, one) for each in ids for one in families.batches(each))
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))


def _span(families: FamiliesHouse, batch: Any) -> tuple[str, str]:
    job = families.job(batch)
    return job["startTime"], job["endTime"]


def _key(line: dict[str, Any]) -> str:
    return str(line["key"]).partition("-")[2]
