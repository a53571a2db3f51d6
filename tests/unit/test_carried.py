"""A bit a row for answers that came with the input, and rows that look like a job's output."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq import carried
from vertexq.check.answered import has_answer, is_old_output
from vertexq.keys import producers_key

ANSWER: dict[str, Any] = {"candidates": [{"finishReason": "STOP"}]}


@given(st.integers(1, 300).flatmap(lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows - 1)))))
def test_bits_are_those_of_their_rows(drawn: tuple[int, set[int]]) -> None:
    """Whatever rows are carried, these and no others are found again."""
    rows, chosen = drawn
    bits = bytearray()
    for index in chosen:
        bits = carried.with_row(bits, index)

    kept = carried.covering(bits, rows)

    assert {index for index in range(rows) if kept and kept[index >> 3] >> (index & 7) & 1} == chosen
    assert carried.count(kept) == len(chosen)


@pytest.mark.parametrize(
    ("row", "answered", "old"),
    [
        ({"request": {"a": 1}, "status": "", "processed_time": "t", "response": ANSWER}, True, True),
        ({"request": {"a": 1}, "response": ANSWER}, True, True),
        ({"request": {"a": 1}, "response": {"tokenCount": "2", "embedding": {"values": [0.5]}}}, True, True),
        ({"request": {"a": 1}, "status": "", "response": {"blocked": True}}, True, True),
        ({"request": {"a": 1}, "status": "Bad Request: {}", "response": ANSWER}, False, False),
        ({"request": {"a": 1}, "status": "Bad Request: {}", "response": {}}, False, False),
        ({"request": {"a": 1}, "status": "", "response": None}, False, False),
        ({"request": {"a": 1}, "response": {"expected": "yes"}}, True, False),
        ({"prompt": "a", "response": ANSWER, "status": ""}, True, False),
        ({"request": {"a": 1}, "response": "a text of the producer's"}, False, False),
    ],
)
def test_an_old_output_is_told_from_a_producer_s_record(
    row: dict[str, Any], *, answered: bool, old: bool
) -> None:
    """A field called response is no answer by itself; Google's stamps or an answer's fields make it one."""
    assert (has_answer(row), is_old_output(row)) == (answered, old)


@pytest.mark.parametrize(
    ("text", "key"),
    [("r12-name", "name"), ("r0-r1-x", "r1-x"), ("name", "name"), ("r-x", "r-x"), ("r1-", "r1-")],
)
def test_a_key_of_ours_is_taken_off(text: str, key: str) -> None:
    """Once, and only where it is one."""
    assert producers_key(text) == key
