"""Tables of the user's own in SQLite: made, checked, written in part and widened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vertexq.errors import BadSettings
from vertexq.results import Outcome
from vertexq.stores import open_store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, full_row, row, source_range

OURS = "table=answers&columns=key:id,text:answer,cost_usd"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "r.db"


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    """Run a statement and return what it gives."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(query).fetchall()


def test_rows_land_in_a_table_that_the_url_names(path: Path) -> None:
    """It is made with the columns that the URL names, and no others."""
    with open_store(f"sqlite:///{path}?{OURS}") as store:
        store.write(chunk(full_row("a"), row("b", text="t")), fence=1)
        found = {result.key: result for result in store.results(SUBMISSION)}
        assert "table answers" in store.location(SUBMISSION)

    assert ask(path, "SELECT * FROM answers ORDER BY id") == [
        ("a", "an answer to a", 0.000123456789),
        ("b", "t", None),
    ]
    assert (found["b"].text, found["b"].outcome, found["b"].response) == ("t", Outcome.SUCCEEDED, None)


def test_rows_land_in_a_table_that_was_there(path: Path) -> None:
    """Beside columns of the user's own, over a row that was there, and what does not fit is set aside."""
    ask(path, "CREATE TABLE answers (Id INTEGER PRIMARY KEY, who TEXT NOT NULL DEFAULT 'me', answer TEXT, "
        "cost_usd REAL)")  # fmt: skip
    ask(path, "INSERT INTO answers (id, who, answer) VALUES (7, 'you', 'old')")

    with open_store(f"sqlite:///{path}?{OURS}") as store:
        refused = store.write(chunk(row("7", text="new"), row("x", text="no number"), row("8")), fence=1)
        assert sorted(result.key for result in store.results(SUBMISSION)) == ["7", "8"]
        (line,) = store.quarantine(SUBMISSION)

    assert refused == {"x"}
    assert "datatype mismatch" in line.reason
    assert ask(path, "SELECT id, who, answer FROM answers") == [(7, "you", "new"), (8, "me", None)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id TEXT PRIMARY KEY, answer TEXT", "no column cost_usd"),
        ("id TEXT, answer TEXT, cost_usd REAL", r"no unique index on \(id\)"),
        ("id TEXT PRIMARY KEY, answer INT, cost_usd REAL", "answer is INT"),
        ("id TEXT PRIMARY KEY, answer TEXT NOT NULL, cost_usd REAL", "answer is NOT NULL"),
        ("id TEXT PRIMARY KEY, answer TEXT, cost_usd REAL, who TEXT NOT NULL", "who wants a value"),
    ],
)
def test_a_table_that_cannot_take_rows_is_said_so(path: Path, columns: str, said: str) -> None:
    """When the store is opened, before anything is paid for."""
    ask(path, f"CREATE TABLE answers ({columns})")

    with pytest.raises(BadSettings, match=said), open_store(f"sqlite:///{path}?{OURS}"):
        pass


def test_a_unique_index_is_as_good_as_a_primary_key(path: Path) -> None:
    """And without the outcome the ledger's word replaces; one that failed replaces nothing by itself."""
    ask(path, "CREATE TABLE answers (id TEXT, answer TEXT, cost_usd REAL)")
    ask(path, "CREATE UNIQUE INDEX one_each ON answers (id)")

    with open_store(f"sqlite:///{path}?{OURS}") as store:
        store.write(chunk(row("a", text="1"), row("b", text="1")), fence=1)
        later = [
            row("a", text="2", outcome="failed"),
            row("b", text="2", outcome="failed"),
            row("c", text="2"),
        ]
        store.write(chunk(*later, start=STEP_BYTES, replacing=["a"]), fence=1)

    assert ask(path, "SELECT id, answer FROM answers ORDER BY id") == [("a", "2"), ("b", "1"), ("c", "2")]


def test_a_newer_vertexq_adds_its_columns(path: Path) -> None:
    """Rows that were there have nulls in them."""
    with open_store(f"sqlite:///{path}") as store:
        store.write(chunk(row("old")), fence=1)
    for name in ("reason", "parsed", "function_calls"):
        ask(path, f"ALTER TABLE vertexq_results DROP COLUMN {name}")

    with open_store(f"sqlite:///{path}") as store:
        store.write(chunk(row("new", reason="MAX_TOKENS"), start=STEP_BYTES), fence=1)
        reasons = {result.key: result.reason for result in store.results(SUBMISSION)}

    assert reasons == {"old": None, "new": "MAX_TOKENS"}


def test_an_older_vertexq_writes_a_newer_table(path: Path) -> None:
    """It leaves alone what it does not know."""
    with open_store(f"sqlite:///{path}"):
        ask(path, "ALTER TABLE vertexq_results ADD COLUMN rounds INTEGER NOT NULL DEFAULT 1")
        ask(path, "ALTER TABLE vertexq_progress ADD COLUMN mood TEXT")

    with open_store(f"sqlite:///{path}") as store:
        store.write(chunk(full_row("a")), fence=1)
        assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_two_stores_with_tables_of_their_own_share_a_file(path: Path) -> None:
    """A submission may go to both; each has its own progress."""
    with (
        open_store(f"sqlite:///{path}?table=one") as first,
        open_store(f"sqlite:///{path}?table=two") as second,
    ):
        first.write(chunk(row("a")), fence=1)
        assert second.progress(source_range()).position == 0
        second.write(chunk(row("a")), fence=1)

    assert ask(path, "SELECT count(*) FROM one JOIN two USING (submission_id, key)") == [(1,)]
