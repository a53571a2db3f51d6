"""What a row of results holds, from a request to what a producer reads, through every step."""

from __future__ import annotations

from typing import Any

from tests.fundamentals.house import House
from vertexq import Outcome, Policy
from vertexq.simulator.behaviour import Behaviour

CITY: dict[str, Any] = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}


def asking(text: str, **config: object) -> dict[str, Any]:
    """Return a row that asks for JSON."""
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {
        "key": text,
        "request": {
            "contents": contents,
            "generationConfig": {"responseMimeType": "application/json", **config},
        },
    }


async def test_answers_in_json_are_read_as_values(house: House) -> None:
    """The text stays beside the value; the schema was kept to, so nothing is said about it."""
    with house.client() as client:
        rows = [asking(f"city {number}", responseSchema=CITY) for number in range(5)]
        submission = client.submit(
            rows, model="gemini-2.5-flash", store="results", policy=Policy(validate=True)
        )
        await house.until_rest(submission.id)
        results = list(client.results(submission.id))

    assert [one.outcome for one in results] == [Outcome.SUCCEEDED] * 5
    assert all(isinstance(one.parsed["city"], str) for one in results)
    assert all(one.text and one.reason is None and not one.truncated for one in results)


async def test_json_that_was_cut_fails_where_answers_are_validated(house: House) -> None:
    """The same rows, with and without validation: what was paid is counted in both."""
    house.simulator.behaviours.set(Behaviour(cut_rows=1.0))
    with house.client() as client:
        rows = [asking(f"city {number}", responseSchema=CITY) for number in range(3)]
        plain = client.submit(rows, model="gemini-2.5-flash", store="results")
        strict = client.submit(rows, model="gemini-2.5-flash", store="lines", policy=Policy(validate=True))
        loose, firm = await house.until_rest(plain.id), await house.until_rest(strict.id)
        read, refused = list(client.results(plain.id)), list(client.results(strict.id))

    assert (loose.counts.succeeded, firm.counts.failed) == (3, 3)
    assert {one.reason for one in [*read, *refused]} == {"MAX_TOKENS"}
    assert all(one.truncated and one.text and one.parsed is None for one in [*read, *refused])
    assert loose.cost_usd == firm.cost_usd
