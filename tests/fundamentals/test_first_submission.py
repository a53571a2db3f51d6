"""What a newcomer wants to know first."""

from __future__ import annotations

from tests.fundamentals.house import House
from vertexq import Outcome, SubmissionState


async def test_rows_go_in_and_answers_come_out(house: House) -> None:
    """Every row that is enqueued ends up in the store once, with an answer."""
    with house.client() as client:
        submission = client.submit(
            [f"Say {number}" for number in range(20)], model="gemini-2.5-flash", store="results"
        )
        status = await house.until_rest(submission.id)
        results = list(client.results(submission.id))

    assert status.state is SubmissionState.DONE
    assert sorted(int(one.key) for one in results) == list(range(20))
    assert {one.outcome for one in results} == {Outcome.SUCCEEDED}
    assert all(one.text for one in results)
    assert status.counts.succeeded == 20
    assert status.cost_usd
