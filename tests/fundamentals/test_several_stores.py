"""One submission, several stores: each of them gets every row."""

from __future__ import annotations

import pytest

from tests.fundamentals.house import House
from vertexq import BadInput, SubmissionState, UnknownStore

MODEL = "gemini-2.5-flash"


async def test_rows_land_in_every_store_that_was_named(house: House) -> None:
    """The first one is read unless another is asked for; a script gets them as a list."""
    with house.client() as client:
        id_ = client.submit(["one", "two", "three"], model=MODEL, store=["lines", "results"]).id
        status = await house.until_rest(id_)
        first = {one.key: one.text for one in client.results(id_)}
        second = {one.key: one.text for one in client.results(id_, store="results")}
        where = client.where(id_)

    assert status.state is SubmissionState.DONE
    assert status.to_json()["stores"] == ["lines", "results"]
    assert sorted(first) == ["0", "1", "2"]
    assert first == second
    assert "lines" in where


async def test_the_same_stores_in_another_order_are_the_same_submission(house: House) -> None:
    """The set counts; the one that came first at the beginning stays the first."""
    with house.client() as client:
        client.submit(["one"], model=MODEL, id="s-1", store=["lines", "results"])
        again = client.submit(["one"], model=MODEL, id="s-1", store="results,lines")

    assert again.stores == ("lines", "results")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (["lines", "nowhere"], "nowhere"),
        (["lines", "lines"], "named twice"),
        ([], "0 stores were named"),
        (["lines", "No/"], "no name of a store"),
        ([f"s{number}" for number in range(9)], "9 stores were named"),
    ],
)
async def test_stores_that_cannot_be_are_refused(house: House, store: list[str], said: str) -> None:
    """Each name is looked at before anything is enqueued."""
    with house.client() as client, pytest.raises(BadInput, match=said):
        client.submit(["one"], model=MODEL, store=store)


async def test_only_a_store_of_the_submission_is_read(house: House) -> None:
    """Another one would be empty, which is no answer."""
    with house.client() as client:
        id_ = client.submit(["one"], model=MODEL, store="lines").id
        with pytest.raises(UnknownStore, match="does not land in 'results', but in lines"):
            list(client.results(id_, store="results"))
