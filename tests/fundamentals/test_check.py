"""One bad line does not kill a job: it is found before anything is sent."""

from __future__ import annotations

import pytest

from tests.fundamentals.house import House
from tests.unit.check_rows import DEFECTS, HELLO, line
from vertexq import BadInput, Policy
from vertexq.model import GcsUri


def accepted(house: House) -> int:
    """Return how many creates the simulator accepted: its own log, outside our code."""
    return len(house.simulator.accepted)


def test_one_file_with_every_defect_is_refused_and_nothing_is_sent(house: House) -> None:
    """All of them are counted in one error; the ledger has no submission, Google no job."""
    rows = [{"key": name, "request": request} for name, (request, _) in DEFECTS.items()]

    with house.client() as client, pytest.raises(BadInput) as caught:
        client.submit(rows, model="gemini-2.5-flash", store="results")

    assert f"{len(DEFECTS)} of {len(DEFECTS)} rows cannot be enqueued; nothing was sent" in str(caught.value)
    assert accepted(house) == 0


async def test_an_object_with_every_defect_is_rejected_before_anything_is_sent(house: House) -> None:
    """The check runs when it is staged; the submission says why, and no create is made."""
    lines = b"".join(line(request, name) + b"\n" for name, (request, _) in DEFECTS.items())
    await house.services.storage.upload(GcsUri(bucket="staging", name="bad.jsonl"), lines)
    with house.client() as client:
        client.submit("gs://staging/bad.jsonl", model="gemini-2.5-flash", store="results", id="bad")

    status = await house.until_rest("bad")

    assert status.state == "rejected"
    assert f"{len(DEFECTS)} of {len(DEFECTS)} rows cannot be enqueued" in status.reason
    assert accepted(house) == 0


async def test_bad_rows_can_be_set_aside_and_the_rest_runs(house: House) -> None:
    """Every row is accounted for: the good one succeeded, the bad ones failed with their reason."""
    rows = [{"key": name, "request": request} for name, (request, _) in DEFECTS.items()]
    with house.client() as client:
        client.submit(
            [{"key": "good", "request": HELLO}, *rows],
            model="gemini-2.5-flash",
            store="results",
            id="aside",
            policy=Policy(set_aside=True),
        )

        status = await house.until_rest("aside")

        results = {row.key: row for row in client.results("aside")}
    assert (status.counts.succeeded, status.counts.failed) == (1, len(DEFECTS))
    assert results["good"].outcome == "succeeded"
    assert {name for name, row in results.items() if row.outcome == "failed"} == set(DEFECTS)
    assert accepted(house) == 1
