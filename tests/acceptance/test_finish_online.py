"""Finish online, end to end: through broker, workers, Google and store."""

from __future__ import annotations

from typing import cast

import pytest

from tests.acceptance.families_house import FamiliesHouse
from vertexq import SubmissionState


@pytest.mark.parametrize("model", ["gemini-2.5-flash-lite", "text-embedding-005", "gemini-embedding-001"])
def test_the_last_rows_are_answered_online(families: FamiliesHouse, model: str) -> None:
    """One job, and a call for each row that it left; each row is there once."""
    word = f"online-{model.replace('.', '-')}"
    families.behave(f"run={word}", quota_rows=0.05, missing_rows=0.05)
    rows = [{"key": f"k{number}", "prompt": f"Say {number} of {word}"} for number in range(200)]
    source = families.put_rows(f"{word}/rows.jsonl", rows)
    before = calls_of(families, model)

    ran = families.run(source, model=model, finish_online=100, labels={"run": word})

    job, online = ran.batches
    assert (ran.status.state, ran.status.counts.succeeded) == (SubmissionState.DONE, 200)
    assert len(ran.results) == 200
    assert ran.status.online_rows == online.rows == calls_of(families, model) - before > 0
    assert (job.online, online.online, len(families.creates(ran))) == (False, True, 1)
    assert sum(row.attempt == 2 for row in ran.results.values()) == online.rows


def calls_of(families: FamiliesHouse, model: str) -> int:
    """Return how many online calls to a model Google has answered: an oracle outside our code."""
    found = cast("list[dict[str, str]]", families.get("/_simulator/online"))
    return sum(call["model"].endswith(f"/{model}") for call in found)
