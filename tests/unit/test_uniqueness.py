"""Keys that occur twice are found among any number of rows."""

from __future__ import annotations

from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from vertexq.uniqueness import KeyLog, Repetition


@given(keys=st.lists(st.sampled_from(["a", "b", "c", "ä", "日本", ""]), max_size=30))
def test_every_repetition_is_named_with_the_line_of_the_first(keys: list[str]) -> None:
    """As a dictionary would find them, in the order of the lines."""
    with closing(KeyLog()) as log:
        for line, key in enumerate(keys, start=1):
            log.add(key, line)

        found = sorted((one.line, one.earlier) for one in log.duplicates())

    first = {key: keys.index(key) + 1 for key in keys}
    assert found == [(line, first[key]) for line, key in enumerate(keys, start=1) if first[key] != line]


def test_a_repetition_is_found_among_more_rows_than_are_looked_at_together() -> None:
    """The rows are looked at in slices of their hashes; equal keys are always in the same slice."""
    with closing(KeyLog()) as log:
        for line in range(1, 550_001):
            log.add(f"key-{line}", line)
        log.add("key-5", 550_001, 3, 7, 9)

        assert list(log.duplicates()) == [Repetition(550_001, 5, 3, 7, 9)]
