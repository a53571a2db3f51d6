"""What of a table cannot be sent is said before anything is paid for, and nothing of it is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.table_house import (
    MODEL,
    REQUESTS,
    SOURCE,
    asked,
    filled,
    request,
    staged_tables,
    submitted,
)
from vertexq import BadInput, Policy, SubmissionState

_REQUEST = {"request": "JSON"}
_OPTIONS: dict[str, Any] = {"model": MODEL, "store": "results"}


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        ("bq://demo.rows", {}, "is no table's address; write bq://project.dataset.table"),
        ("bq://demo.rows.events_*", {}, "without a wildcard"),
        ([SOURCE, "bq://demo.rows.more"], {}, "takes one table"),
        ([SOURCE, "gs://staging/rows.jsonl"], {}, "takes one table"),
        (SOURCE, {"location": "global"}, "global has no region in which a dataset could be"),
        (SOURCE, {"location": "us"}, "us is a multi-region"),
        (SOURCE, {"model": "gemini-embedding-001"}, "read no tables"),
        (SOURCE, {"policy": Policy(as_is=True)}, "as_is does not go with a table"),
        (SOURCE, {"policy": Policy(repair=True)}, "repair does not go with a table"),
        (SOURCE, {"policy": Policy(split_conflicts=True)}, "split_conflicts does not go with a table"),
        (SOURCE, {"policy": Policy(resume=True)}, "resume does not go with a table"),
        (SOURCE, {"template": {"prompt": "{{city}}"}}, "a template does not go with a table"),
    ],
)
def test_what_can_be_seen_is_refused_when_it_is_enqueued(
    house: House, source: Any, options: dict[str, Any], sentence: str
) -> None:
    """Nobody has looked at the table by then."""
    with house.client() as client, pytest.raises(BadInput, match=sentence):
        client.submit(source, **_OPTIONS | options)


@pytest.mark.parametrize(
    ("columns", "region", "options", "sentence"),
    [
        (REQUESTS, "US", {}, "its dataset is in the multi-region US, of which jobs read no tables"),
        (REQUESTS, "europe-west4", {}, "its dataset is in europe-west4 and the jobs run in us-central1"),
        ({"key": "STRING"}, "us-central1", {}, "it must have a column request of type JSON or STRING"),
        ({"request": "INTEGER"}, "us-central1", {}, "it must have a column request of type JSON or STRING"),
        (
            {"content": "JSON"},
            "us-central1",
            {"model": "text-embedding-005"},
            "a column content of type STRING",
        ),
        (_REQUEST | {"Status": "STRING"}, "us-central1", {}, "its column status has a name that jobs write"),
        (
            _REQUEST | {"response": "JSON"},
            "us-central1",
            {},
            "its column response has a name that jobs write",
        ),
        (_REQUEST | {"vertexq_n": "STRING"}, "us-central1", {}, "begins with vertexq_, as our own do"),
        (_REQUEST | {"key": "FLOAT"}, "us-central1", {}, "must be of type STRING or INT64"),
        (_REQUEST, "us-central1", {"key": "id"}, "it has no column 'id' that could hold the keys"),
        (
            REQUESTS | {"id": "STRING"},
            "us-central1",
            {"key": "id"},
            "its column key stands where jobs have keys",
        ),
        (_REQUEST, "us-central1", {}, "holds no rows"),
    ],
)
async def test_a_table_that_no_job_could_read_is_rejected(
    house: House, columns: dict[str, str], region: str, options: dict[str, Any], sentence: str
) -> None:
    """The sentence says what to do; no job was made, and no copy is left."""
    await filled(house, [], columns, region=region)

    status = await submitted(house, **options)

    assert (status.state, sentence in status.reason) == (SubmissionState.REJECTED, True), status.reason
    assert not house.simulator.accepted
    assert not await staged_tables(house)


async def test_rows_that_cannot_be_sent_are_named(house: House) -> None:
    """The first ones by their keys, with what is wrong and what to do; the others are counted."""
    bad: list[dict[str, object]] = [
        {"key": f"bad{n}", "request": {"contents": [{"parts": {"text": "x"}}]}} for n in range(12)
    ]
    await filled(house, [*asked(3), *bad, {"key": "k1", "request": request("twice")}])

    status = await submitted(house)

    lines = status.reason.splitlines()
    assert status.state is SubmissionState.REJECTED
    assert lines[0] == f"{SOURCE}: 13 of 16 rows cannot be enqueued; nothing was sent."
    assert lines[-1] == "  and 3 more"
    assert all(
        "parts must be an array of objects (parts); write" in line for line in lines[1:-1] if "bad" in line
    )
    assert not await staged_tables(house)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"request": "no JSON"}, "the request is no JSON object (not_json)"),
        ({"request": "[1]"}, "the request is no JSON object (not_json)"),
        ({"request": "{}"}, '"contents" must be a list with at least one object (request)'),
        ({"request": '{"contents": []}'}, '"contents" must be a list with at least one object (request)'),
        ({"request": None}, "there is no request (request)"),
        ({"request": '{"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "c"}'}, "explicit caching"),
        ({"key": "a\tb"}, "the key must have 1 to 512 bytes, all of them printable (key)"),
        ({"key": ""}, "the key must have 1 to 512 bytes, all of them printable (key)"),
        ({"key": None}, "the key is NULL (key)"),
    ],
)
async def test_each_fault_of_a_row_is_found_in_bigquery(
    house: House, row: dict[str, object], said: str
) -> None:
    """A good row beside it is none."""
    good = {"key": "good", "request": '{"contents": [{"parts": [{"text": "x"}]}]}'}
    await filled(house, [good, {**good, "key": "bad", **row}], {"key": "STRING", "request": "STRING"})

    status = await submitted(house)

    assert status.reason.startswith(f"{SOURCE}: 1 of 2 rows cannot be enqueued; nothing was sent.\n  row ")
    assert said in status.reason


async def test_a_table_that_is_not_there_yet_parks_its_submission(house: House) -> None:
    """Enqueued again when it is there, the submission goes on."""
    parked = await submitted(house, id="early")
    await filled(house, asked(2))

    done = await submitted(house, id="early")

    assert (parked.state, "is not there" in parked.reason) == (SubmissionState.PARKED, True)
    assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, 2)
