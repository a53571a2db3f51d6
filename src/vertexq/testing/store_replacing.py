"""The part of the store contract about keys that come again: which row stays, and what ``finish`` mends."""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from vertexq.results import Outcome
from vertexq.stores import Store
from vertexq.stores.columns import result_of
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, full_row, row, source_range

_ORDER = [
    (("failed", 1), ("succeeded", 1), "second"),
    (("succeeded", 1), ("failed", 1), "first"),
    (("succeeded", 1), ("failed", 2), "first"),  # a worse outcome never wins, however late
    (("missing", 1), ("quarantined", 1), "second"),
    (("blocked", 3), ("succeeded", 1), "second"),  # a better outcome wins, however early
    (("failed", 1), ("failed", 2), "second"),
    (("failed", 2), ("failed", 1), "first"),
    (("succeeded", 1), ("succeeded", 1), "first"),
]


class StoreReplacing:
    """Tests of one key in two chunks. Part of ``StoreContract``; do not subclass it alone."""

    finds_repeats_itself: ClassVar[bool] = True
    """Whether the store notices a repeated key that ``Chunk.replacing`` does not name."""

    @pytest.mark.parametrize(("first", "second", "winner"), _ORDER)
    @pytest.mark.parametrize("told", [True, False], ids=["replacing", "silent"])
    def test_the_better_row_of_a_key_stays(
        self, store: Store, first: tuple[str, int], second: tuple[str, int], winner: str, *, told: bool
    ) -> None:
        """A higher outcome, or the same and a later attempt, replaces; before and after ``finish``."""
        if not told and not self.finds_repeats_itself:
            told = True
        rows = [
            row("a", outcome=outcome, attempt=attempt, text=name)
            for name, (outcome, attempt) in (("first", first), ("second", second))
        ]
        store.write(chunk(rows[0], row("b")), fence=1)
        store.write(chunk(rows[1], row("c"), start=STEP_BYTES, replacing=["a"] if told else []), fence=1)

        assert texts(store) == {"a": winner, "b": None, "c": None}
        store.finish(SUBMISSION)
        assert texts(store) == {"a": winner, "b": None, "c": None}

    @pytest.mark.parametrize(("first", "second", "winner"), _ORDER)
    def test_ranges_that_held_the_same_key_are_mended_by_finish(
        self, store: Store, first: tuple[str, int], second: tuple[str, int], winner: str
    ) -> None:
        """They were read at once, so no chunk says so: ``repeats`` does; reading is right before that."""
        for name, (outcome, attempt) in (("first", first), ("second", second)):
            made = row("a", batch_id=name, outcome=outcome, attempt=attempt, text=name)
            store.write(chunk(made, row(name), source=source_range(name)), fence=1)

        if first != second:  # of two that are as good either may stay
            assert texts(store)["a"] == winner
        assert sorted(texts(store)) == ["a", "first", "second"]
        store.finish(SUBMISSION, repeats=True)
        assert sorted(texts(store)) == ["a", "first", "second"]
        if first != second:
            assert texts(store)["a"] == winner

    def test_a_key_may_be_replaced_from_another_batch(self, store: Store) -> None:
        """A retry round answers in a batch of its own; the row moves with all its columns."""
        store.write(chunk(row("a", outcome="failed", error_code=8), row("b")), fence=1)
        better = full_row("a")._replace(batch_id="batch-2", attempt=2)
        store.write(chunk(better, source=source_range("batch-2"), replacing=["a"]), fence=1)

        (found,) = [result for result in store.results(SUBMISSION) if result.key == "a"]
        assert found == result_of(better)

    def test_rounds_of_retries_end_with_the_best_answer_of_each_key(self, store: Store) -> None:
        """Three batches, all told of the keys before them: later replaces as good, worse replaces nothing."""
        rounds: Sequence[dict[str, str]] = (
            {"a": "failed", "b": "failed", "c": "succeeded", "d": "missing"},
            {"a": "failed", "b": "succeeded", "d": "failed"},
            {"a": "blocked", "d": "quarantined"},
        )
        for number, outcomes in enumerate(rounds, start=1):
            batch = f"round-{number}"
            rows = [
                row(key, outcome=outcome, attempt=number, batch_id=batch, text=batch)
                for key, outcome in outcomes.items()
            ]
            known = outcomes if number > 1 else ()
            store.write(chunk(*rows, source=source_range(batch), replacing=known), fence=1)
        ends = {"a": "round-3", "b": "round-2", "c": "round-1", "d": "round-2"}

        assert texts(store) == ends
        store.finish(SUBMISSION)
        assert texts(store) == ends
        failed = frozenset({Outcome.FAILED})
        assert [result.key for result in store.results(SUBMISSION, outcomes=failed)] == ["d"]

    def test_a_submission_that_was_finished_takes_another_round(self, store: Store) -> None:
        """Somebody asks for one by hand; then it is finished again."""
        store.write(chunk(row("a", outcome="failed", text="1"), row("b", text="1")), fence=1)
        store.finish(SUBMISSION)
        store.write(
            chunk(row("a", attempt=2, text="2"), source=source_range("batch-2"), replacing=["a"]), fence=1
        )

        assert texts(store) == {"a": "2", "b": "1"}
        store.finish(SUBMISSION)
        assert texts(store) == {"a": "2", "b": "1"}


def texts(store: Store) -> dict[str, str | None]:
    """Return the texts of all rows by key; fail when a key comes twice."""
    found = list(store.results(SUBMISSION))
    by_key = {result.key: result.text for result in found}
    assert len(by_key) == len(found), "a key came twice"
    return by_key
