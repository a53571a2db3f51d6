"""What every store must show, ours and yours: subclass ``StoreContract`` and say where an empty store is.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store_url(self, tmp_path):
            return f"mine:///{tmp_path}"

The store must be registered under the entry point group ``vertexq.stores``: some tests open it in a child
process. The bar is in each test's docstring.
"""

# ruff: noqa: S101, PLR2004  (these are tests)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from vertexq.errors import PositionMoved, StaleFence
from vertexq.results import Outcome, Progress, Result, Row
from vertexq.stores import Store
from vertexq.stores.columns import result_of
from vertexq.testing.store_crashes import StoreCrashes
from vertexq.testing.store_replacing import StoreReplacing
from vertexq.testing.store_rows import (
    STEP_BYTES,
    SUBMISSION,
    bad_line,
    chunk,
    chunks_of,
    full_row,
    row,
    source_range,
)
from vertexq.testing.store_vectors import StoreVectors

_HARD_TEXTS = [
    "",
    "naïve 日本語 🙂 \U0010ffff",
    "line\u2028and\u2029paragraph\x85next",
    "quote \" ' back\\slash \\N \\. tab\t",
    "first\nsecond\r\nthird\rfourth\x0b\x0c\x1c",
    "\ufeffa byte order mark",
    "'; DROP TABLE vertexq_results; --",
]
_HARD_RESPONSES = [
    b"{}",
    '{"text": "日本語 \u2028 🙂"}'.encode(),
    b'{"escaped": "\\u2028 \\" \\\\ \\n \\t \\/"}',
    b'{"big": 18446744073709551616, "negative": -9223372036854775809, "float": 0.1, "long": 1e15}',
    b'{"nulls": null, "empty": [], "nested": {"a": [{"b": [1, 2, {"c": true}]}]}}',
    b'{\n  "pretty":\r\n  "printed"\n}',
]
_HARD_VALUES = [
    *_HARD_RESPONSES,
    b"[]",
    b"null",
    b"true",
    b"-0.5",
    b"9007199254740993",
    b'"text with \\" and \xe6\x97\xa5"',
    b'[1, "a", null, {"b": []}]',
]
_CALLS = b'[{"name": "look_up", "args": {"city": "Z\xc3\xbcrich", "days": 3}, "id": "c1"}]'


class StoreContract(StoreReplacing, StoreCrashes, StoreVectors):
    """The promise of ``vertexq.stores.base.Store``, as tests."""

    @pytest.fixture
    def store(self, store_url: str, storage_endpoint: str) -> Iterator[Store]:
        """Open the store, prepared."""
        with self.opened(store_url, storage_endpoint) as store:
            yield store

    def test_an_unknown_submission_has_no_results(self, store: Store) -> None:
        """Nothing written is empty, not an error."""
        assert list(store.results("nobody")) == []
        assert list(store.quarantine("nobody")) == []

    def test_a_range_never_written_is_at_its_own_start(self, store: Store) -> None:
        """A range that starts inside an object is at that byte, with no state."""
        assert store.progress(source_range(start=77)) == Progress(position=77)

    def test_preparing_twice_keeps_what_is_there(self, store: Store) -> None:
        """``prepare`` is safe to repeat."""
        store.write(chunk(row("a")), fence=1)

        store.prepare()

        assert [result.key for result in store.results(SUBMISSION)] == ["a"]

    def test_a_closed_store_closes_again(self, store: Store) -> None:
        """``close`` is safe to repeat, and the store opens again when it is used."""
        store.close()
        store.close()

        assert store.progress(source_range()).position == 0

    def test_every_column_comes_back(self, store: Store) -> None:
        """A row with a value in every column is read back equal."""
        store.write(chunk(full_row("a")), fence=1)

        assert list(store.results(SUBMISSION)) == [result_of(full_row("a"))]

    def test_every_null_comes_back(self, store: Store) -> None:
        """A row with nothing but its required columns is read back with nulls."""
        store.write(chunk(row("a", outcome="missing")), fence=1)

        assert list(store.results(SUBMISSION)) == [result_of(row("a", outcome="missing"))]

    def test_an_instant_comes_back_in_utc(self, store: Store) -> None:
        """Whatever zone Google writes, the same instant is read in UTC."""
        store.write(chunk(row("a", processed_at="2026-11-21T12:00:00.25+02:00")), fence=1)

        (result,) = store.results(SUBMISSION)
        assert result.processed_at == datetime(2026, 11, 21, 10, 0, 0, 250_000, tzinfo=UTC)

    @pytest.mark.parametrize("number", [0, 1, 2**31, 2**53 + 1, 2**63 - 1])
    def test_big_integers_come_back_exact(self, store: Store, number: int) -> None:
        """Integers of 63 bits are not rounded."""
        store.write(chunk(row("a", prompt_tokens=number, source_offset=number)), fence=1)

        (result,) = store.results(SUBMISSION)
        assert (result.prompt_tokens, result.source_offset) == (number, number)

    def test_hard_texts_come_back_exact(self, store: Store) -> None:
        """Quotes, line ends of every kind, backslashes and any Unicode are kept, in every text column."""
        rows = [row(f"k{n}", text=t, error_message=t, finish_reason=t) for n, t in enumerate(_HARD_TEXTS)]
        store.write(chunk(*rows), fence=1)

        assert _by_key(store) == {made.key: result_of(made) for made in rows}

    def test_hard_keys_come_back_exact(self, store: Store) -> None:
        """A key is any text, and keys that look alike stay apart."""
        keys = [
            *(text for text in _HARD_TEXTS if text),
            "a",
            "A",
            "a ",
            " a",
            "1",
            "01",
            "1.0",
            "é",
            "e\u0301",
        ]
        store.write(chunk(*map(row, keys)), fence=1)

        assert sorted(_by_key(store)) == sorted(keys)

    def test_hard_responses_come_back_exact(self, store: Store) -> None:
        """A response is read back as the same JSON value."""
        rows = [row(f"k{n}", response=raw) for n, raw in enumerate(_HARD_RESPONSES)]
        store.write(chunk(*rows), fence=1)

        assert _by_key(store) == {made.key: result_of(made) for made in rows}

    def test_hard_values_come_back_exact(self, store: Store) -> None:
        """What a model answered in JSON may be any value, and its calls hold any arguments."""
        rows = [row(f"k{n}", parsed=raw, function_calls=_CALLS) for n, raw in enumerate(_HARD_VALUES)]
        store.write(chunk(*rows), fence=1)

        assert _by_key(store) == {made.key: result_of(made) for made in rows}

    def test_ten_megabytes_of_text_come_back_exact(self, store: Store) -> None:
        """A very long answer is a row like any other."""
        text = "0123456789abcde\n" * 655_360
        store.write(chunk(row("a", text=text), row("b")), fence=1)

        assert _by_key(store)["a"].text == text

    @pytest.mark.parametrize(
        "poison",
        [
            row("poison", text="a\x00b"),
            row("poison", text="\ud800"),
            row("poison", error_message="\udfff"),
            row("poison", finish_reason="\x00"),
            row("poison", reason="a\x00b"),
            row("poison", response=b'{"text": "a\\u0000b"}'),
            row("poison", parsed=b'{"text": "a\\u0000b"}'),
            row("poison", function_calls=b'[{"name": "\\ud800"}]'),
            row("poison", response=b'{"text": "\\ud800"}'),
            row("poison", response=b'{"deep": ' + b"[" * 120 + b"]" * 120 + b"}"),
            row("poison", prompt_tokens=2**63),
            row("poison", embedding=b"[0.5,1e39]"),
        ],
        ids=[
            "nul",
            "surrogate",
            "message",
            "finish",
            "reason",
            "escape",
            "parsed",
            "calls",
            "escaped-surrogate",
            "deep",
            "int",
            "number",
        ],
    )
    def test_a_poison_row_is_exact_or_set_aside(self, store: Store, poison: Row) -> None:
        """What a target cannot hold is never changed in silence, and the rest of the chunk goes in."""
        refused = store.write(chunk(row("a"), poison, row("b"), quarantined=(bad_line(1),)), fence=1)

        found = _by_key(store)
        assert set(found) == {"a", "b", "poison"}
        assert found["a"].ok
        assert found["b"].ok
        exact = found["poison"] == result_of(poison)
        assert refused == (frozenset() if exact else {"poison"})
        assert exact or _is_set_aside(store, found["poison"])

    def test_a_poison_key_leaves_a_quarantined_line(self, store: Store) -> None:
        """When even the key cannot be kept, a quarantined line is."""
        store.write(chunk(row("a"), row("\ud800", text="the answer")), fence=1)

        assert set(_by_key(store)) == {"a"}
        assert [line.raw for line in store.quarantine(SUBMISSION)] == [b"the answer"]

    def test_a_chunk_of_poison_leaves_every_row(self, store: Store) -> None:
        """All rows of a chunk may be bad; each is kept as quarantined."""
        store.write(chunk(*(row(f"k{n}", text="\ud800") for n in range(20))), fence=1)

        assert {result.outcome for result in store.results(SUBMISSION)} == {Outcome.QUARANTINED}
        assert len(list(store.quarantine(SUBMISSION))) == 20

    def test_progress_comes_back_with_its_state(self, store: Store) -> None:
        """State bytes are opaque: every byte value and a hundred kilobytes come back."""
        state = bytes(range(256)) * 400
        store.write(chunk(row("a"), state=state), fence=1)

        assert store.progress(source_range()) == Progress(position=STEP_BYTES, state=state)

    def test_quarantined_lines_come_back(self, store: Store) -> None:
        """Every field, raw bytes of any value included."""
        lines = (bad_line(0, raw=bytes(range(256))), bad_line(9, raw=b""))
        store.write(chunk(quarantined=lines), fence=1)

        assert sorted(store.quarantine(SUBMISSION)) == sorted(lines)

    def test_an_empty_chunk_moves_the_position(self, store: Store) -> None:
        """A stretch with nothing in it is progress too."""
        store.write(chunk(), fence=1)
        store.write(chunk(row("a"), start=STEP_BYTES), fence=1)

        assert store.progress(source_range()).position == 2 * STEP_BYTES

    def test_a_replayed_chunk_changes_nothing(self, store: Store) -> None:
        """The second try of a committed chunk is refused, and its rows and lines are there once."""
        made = chunk(row("a"), quarantined=(bad_line(1),), state=b"1")
        store.write(made, fence=1)

        with pytest.raises(PositionMoved):
            store.write(made, fence=1)

        assert [result.key for result in store.results(SUBMISSION)] == ["a"]
        assert len(list(store.quarantine(SUBMISSION))) == 1
        assert store.progress(source_range()) == Progress(position=STEP_BYTES, state=b"1")

    def test_a_chunk_that_starts_elsewhere_is_refused(self, store: Store) -> None:
        """A gap is refused as much as a replay, and leaves no trace."""
        with pytest.raises(PositionMoved):
            store.write(chunk(row("a"), start=5), fence=1)

        assert list(store.results(SUBMISSION)) == []
        assert store.progress(source_range()).position == 0

    def test_a_stale_fence_is_refused(self, store: Store) -> None:
        """After a higher token wrote, a lower one leaves no trace, wherever its chunk starts."""
        store.write(chunk(row("a")), fence=5)

        for start in (0, STEP_BYTES):
            with pytest.raises(StaleFence):
                store.write(chunk(row("b"), start=start), fence=4)

        assert [result.key for result in store.results(SUBMISSION)] == ["a"]

    def test_a_fence_is_of_one_range(self, store: Store) -> None:
        """A high token on one range does not shut out another range."""
        store.write(chunk(row("a")), fence=5)
        store.write(chunk(row("b"), source=source_range("batch-2")), fence=1)

        assert set(_by_key(store)) == {"a", "b"}

    def test_the_same_key_in_two_submissions_is_two_rows(self, store: Store) -> None:
        """Submissions do not see each other."""
        other = source_range("batch-9", submission_id="sub-2")
        store.write(chunk(row("a", text="one")), fence=1)
        store.write(chunk(row("a", text="two", submission_id="sub-2"), source=other), fence=1)

        assert [result.text for result in store.results(SUBMISSION)] == ["one"]
        assert [result.text for result in store.results("sub-2")] == ["two"]

    def test_results_are_filtered_by_outcome(self, store: Store) -> None:
        """Only the outcomes asked for; an empty set gives nothing."""
        store.write(chunk(*(row(outcome.value, outcome=outcome.value) for outcome in Outcome)), fence=1)

        wanted = frozenset({Outcome.FAILED, Outcome.BLOCKED})
        assert {result.outcome for result in store.results(SUBMISSION, outcomes=wanted)} == wanted
        assert list(store.results(SUBMISSION, outcomes=frozenset())) == []

    def test_two_ranges_take_turns(self, store: Store) -> None:
        """Chunks of two ranges may alternate; each keeps its own position."""
        one, two = source_range("batch-1"), source_range("batch-2")
        pairs = zip(chunks_of(one, chunks=3, rows=2), chunks_of(two, chunks=3, rows=2), strict=True)
        for first, second in pairs:
            store.write(first, fence=1)
            store.write(second, fence=7)

        assert store.progress(one) == Progress(position=3 * STEP_BYTES, state=b"2")
        assert len(_by_key(store)) == 12

    def test_writing_goes_on_while_results_are_read(self, store: Store) -> None:
        """An open iterator neither blocks a write nor breaks because of it."""
        store.write(chunk(*(row(f"k{n}") for n in range(50))), fence=1)
        reading = store.results(SUBMISSION)
        seen = [next(reading).key]

        store.write(chunk(row("late"), start=STEP_BYTES), fence=1)
        seen += [result.key for result in reading]

        assert sorted({*seen, "late"}) == sorted(_by_key(store))
        assert len(seen) == len(set(seen))


def _by_key(store: Store) -> dict[str, Result]:
    found = list(store.results(SUBMISSION))
    by_key = {result.key: result for result in found}
    assert len(by_key) == len(found), "a key came twice"
    return by_key


def _is_set_aside(store: Store, result: Result) -> bool:
    """Tell whether a poison row was quarantined with its reason, and a line of it kept."""
    bare = replace(result, error_message=None)
    lines = list(store.quarantine(SUBMISSION))
    return (
        result.outcome is Outcome.QUARANTINED
        and bool(result.error_message)
        and (bare.text, bare.response, bare.parsed, bare.function_calls) == (None, None, None, None)
        and bare.embedding is None
        and len(lines) == 2
    )
