"""For stores that take ``columns=`` in their URL: subclass ``StoreLayoutContract`` beside ``StoreContract``.

::

    class TestMyStoreLayout(StoreLayoutContract):
        @pytest.fixture
        def store_url(self, tmp_path):
            return f"mine:///{tmp_path}"
"""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

from typing import Any

import pytest

from vertexq.errors import BadSettings
from vertexq.results import Outcome, Result
from vertexq.stores import Store
from vertexq.stores.columns import result_of
from vertexq.testing.store_fixtures import StoreFixtures
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, full_row, row, source_range

_VECTOR = b"[0.5, -2.0, 3]"
_OURS = "key:id,text:answer,cost_usd"
_JUDGED = "outcome:how,submission_id:run,text,key:id,attempt:round"


class StoreLayoutContract(StoreFixtures):
    """What a store with a layout promises: see ``vertexq.stores.layout``."""

    @pytest.fixture
    def wanting(self, store_url: str, storage_endpoint: str) -> Any:
        """Return how to open the store with ``columns=`` and other options."""

        def opened(columns: str, more: str = "") -> Store:
            url = f"{store_url}{'&' if '?' in store_url else '?'}columns={columns}{more}"
            return self.opened(url, storage_endpoint)

        return opened

    @pytest.fixture
    def sized(self, store_url: str, storage_endpoint: str) -> Any:
        """Return how to open the store with ``vector=``."""

        def opened(vector: str) -> Store:
            url = f"{store_url}{'&' if '?' in store_url else '?'}vector={vector}"
            return self.opened(url, storage_endpoint)

        return opened

    def test_only_the_columns_that_were_named_are_kept(self, wanting: Any) -> None:
        """The others are None when they are read; who does not keep the outcome reads succeeded."""
        with wanting(_OURS) as store:
            store.write(chunk(full_row("a"), row("b", text="t")), fence=1)
            for _ in range(2):
                found = _by_key(store)
                assert (found["a"].text, found["a"].cost_usd) == ("an answer to a", 0.000123456789)
                assert (found["b"].text, found["b"].cost_usd, found["b"].batch_id) == ("t", None, "")
                assert {(one.response, one.model_version, one.reason) for one in found.values()} == {
                    (None, None, None)
                }
                assert {one.outcome for one in found.values()} == {Outcome.SUCCEEDED}
                assert {one.submission_id for one in found.values()} == {SUBMISSION}
                store.finish(SUBMISSION)

    def test_every_column_may_stand_anywhere(self, wanting: Any) -> None:
        """Values go by name, not by place."""
        whole = ",".join(f"{name}:c_{name}" for name in reversed(full_row("a")._fields))
        with wanting(whole) as store:
            store.write(chunk(full_row("a")), fence=1)

            assert list(store.results(SUBMISSION)) == [result_of(full_row("a"))]

    def test_the_better_row_stays_where_the_table_says_which(self, wanting: Any) -> None:
        """With outcome and attempt, under any name."""
        with wanting(_JUDGED) as store:
            first = [row("a", text="1"), row("b", outcome="failed", text="1"), row("c", text="1")]
            store.write(chunk(*first), fence=1)
            later = [row("a", outcome="failed", attempt=2, text="2"), row("b", attempt=2, text="2")]
            store.write(chunk(*later, start=STEP_BYTES, replacing=["a", "b"]), fence=1)
            for _ in range(2):
                assert {key: one.text for key, one in _by_key(store).items()} == {
                    "a": "1",
                    "b": "2",
                    "c": "1",
                }
                store.finish(SUBMISSION)

    def test_the_ledgers_word_replaces_where_the_table_does_not_say(self, wanting: Any) -> None:
        """What it has judged is better or as good."""
        with wanting(_OURS) as store:
            store.write(chunk(row("a", outcome="failed", text="1"), row("b", text="1")), fence=1)
            store.write(chunk(row("a", attempt=2, text="2"), start=STEP_BYTES, replacing=["a"]), fence=1)
            for _ in range(2):
                assert {key: one.text for key, one in _by_key(store).items()} == {"a": "2", "b": "1"}
                store.finish(SUBMISSION)

    def test_submissions_stay_apart_where_the_table_holds_them(self, wanting: Any) -> None:
        """The same key in two of them is two rows."""
        with wanting(_JUDGED) as store:
            other = row("a", text="two", submission_id="sub-2")
            store.write(chunk(row("a", text="one")), fence=1)
            store.write(chunk(other, source=source_range("b-9", submission_id="sub-2")), fence=1)

            assert [one.text for one in store.results(SUBMISSION)] == ["one"]
            assert [one.text for one in store.results("sub-2")] == ["two"]

    def test_outcomes_are_filtered_where_they_are_held(self, wanting: Any) -> None:
        """Under any name."""
        with wanting(_JUDGED) as store:
            store.write(chunk(row("a"), row("b", outcome="failed")), fence=1)

            failed = store.results(SUBMISSION, outcomes=frozenset({Outcome.FAILED}))
            assert [one.key for one in failed] == ["b"]

    def test_a_poison_row_leaves_the_others_alone(self, wanting: Any) -> None:
        """Also where its outcome is not kept: the row is there without its text, and a line says why."""
        with wanting(_OURS) as store:
            assert store.write(chunk(row("a"), row("b", text="\ud800")), fence=1) == {"b"}

            assert {key: one.text for key, one in _by_key(store).items()} == {"a": None, "b": None}
            assert len(list(store.quarantine(SUBMISSION))) == 1

    def test_a_layout_goes_on_where_it_was(self, wanting: Any) -> None:
        """Progress is found again by another instance."""
        with wanting(_OURS) as store:
            store.write(chunk(row("a"), state=b"s"), fence=1)
        with wanting(_OURS) as store:
            assert store.progress(source_range()).position == STEP_BYTES
            assert sorted(_by_key(store)) == ["a"]

    def test_a_vector_may_stand_anywhere(self, wanting: Any) -> None:
        """Under any name, with its size or without, and a row without one is null."""
        for more in ("", "&vector=3"):
            with wanting("embedding:vec,key:id", more) as store:
                source = source_range(f"b{more[-1:]}")
                store.write(chunk(row(f"a{more}", embedding=_VECTOR), row("b"), source=source), fence=1)
                assert _by_key(store)[f"a{more}"].embedding == [0.5, -2.0, 3.0]
                assert _by_key(store)["b"].embedding is None
                store.finish(SUBMISSION)

    def test_a_vector_of_another_length_is_set_aside(self, sized: Any) -> None:
        """Its row stays as quarantined, with the reason; the rows around it land."""
        bad = [row("b", embedding=b"[1.0,2.0]"), row("d", embedding=b"[]"), row("e", embedding=b"[1,2,3,4]")]
        with sized("3") as store:
            rows = [row("a", embedding=_VECTOR), *bad, row("c", text="t", embedding_norm=None)]
            assert store.write(chunk(*rows), fence=1) == {"b", "d", "e"}
            found = _by_key(store)
            lines = {line.raw: line.reason for line in store.quarantine(SUBMISSION)}

        assert (found["a"].embedding, found["c"].text) == ([0.5, -2.0, 3.0], "t")
        assert {(found[one].embedding, found[one].ok) for one in "bde"} == {(None, False)}
        assert set(lines) == {one.embedding for one in bad}
        assert "has 2 numbers, the store's have 3" in lines[b"[1.0,2.0]"]

    @pytest.mark.parametrize("vector", ["", "0", "16001", "many", "768d", "-3", "float:3"])
    def test_a_size_that_cannot_be_is_refused(self, sized: Any, vector: str) -> None:
        """Before anything is connected to."""
        with pytest.raises(BadSettings, match="vector="):
            sized(vector)

    def test_a_size_without_the_column_is_refused(self, wanting: Any) -> None:
        """It would mean nothing."""
        with pytest.raises(BadSettings, match="needs embedding among columns="):
            wanting("key,text", "&vector=3")

    @pytest.mark.parametrize("columns", ["text", "key,nothing", "key:a b", "key,key", ""])
    def test_columns_that_cannot_be_are_refused(self, wanting: Any, columns: str) -> None:
        """Before anything is connected to."""
        with pytest.raises(BadSettings):
            wanting(columns)


def _by_key(store: Store) -> dict[str, Result]:
    found = list(store.results(SUBMISSION))
    by_key = {result.key: result for result in found}
    assert len(by_key) == len(found), "a key came twice"
    return by_key
