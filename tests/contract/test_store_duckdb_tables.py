"""Tables of the user's own in DuckDB: made, checked, written in part and widened."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from vertexq.errors import BadSettings
from vertexq.stores import open_store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, full_row, row, source_range

OURS = "table=answers&columns=key:id,text:answer,cost_usd"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "r.duckdb"


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    """Run a statement and return what it gives."""
    with duckdb.connect(str(path)) as db:
        return db.execute(query).fetchall()


def test_rows_land_in_a_table_that_the_url_names(path: Path) -> None:
    """It is made with the columns that the URL names, and no others."""
    with open_store(f"duckdb:///{path}?{OURS}") as store:
        store.write(chunk(full_row("a"), row("b", text="t")), fence=1)
        assert "table answers" in store.location(SUBMISSION)

    assert ask(path, "SELECT * FROM answers ORDER BY id") == [
        ("a", "an answer to a", 0.000123456789),
        ("b", "t", None),
    ]


def test_rows_land_in_a_table_that_was_there(path: Path) -> None:
    """Beside columns of the user's own, over a row that was there, and what does not fit is set aside."""
    ask(path, "CREATE TABLE answers (Id INTEGER PRIMARY KEY, who TEXT NOT NULL DEFAULT 'me', answer JSON, "
        "cost_usd DECIMAL(18, 9))")  # fmt: skip
    ask(path, "INSERT INTO answers (id, who, answer) VALUES (7, 'you', '1')")

    with open_store(f"duckdb:///{path}?{OURS}") as store:
        refused = store.write(
            chunk(row("7", text="2"), row("x", text="3"), row("8", text="no JSON"), row("9", cost_usd=0.5)),
            fence=1,
        )
        assert sorted(result.key for result in store.results(SUBMISSION)) == ["7", "8", "9"]
        lines = list(store.quarantine(SUBMISSION))

    assert refused == {"x", "8"}
    assert all("ConversionException" in line.reason for line in lines)
    assert ask(path, "SELECT id, who, answer, cost_usd::DOUBLE FROM answers ORDER BY id") == [
        (7, "you", "2", None),
        (8, "me", None, None),
        (9, "me", None, 0.5),
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id TEXT, answer TEXT", "no column cost_usd"),
        ("id TEXT, answer INT, cost_usd REAL", "answer is INTEGER; for text it may be VARCHAR"),
        ("id TEXT, answer TEXT NOT NULL, cost_usd REAL", "answer is NOT NULL"),
        ("id TEXT, answer TEXT, cost_usd REAL, who TEXT NOT NULL", "who wants a value"),
    ],
)
def test_a_table_that_cannot_take_rows_is_said_so(path: Path, columns: str, said: str) -> None:
    """When the store is opened, before anything is paid for."""
    ask(path, f"CREATE TABLE answers ({columns})")

    with pytest.raises(BadSettings, match=said), open_store(f"duckdb:///{path}?{OURS}"):
        pass


def test_an_older_vertexq_writes_a_newer_table(path: Path) -> None:
    """It leaves alone what it does not know."""
    with open_store(f"duckdb:///{path}"):
        pass
    for table in ("vertexq_results", "vertexq_progress", "vertexq_quarantine"):
        ask(path, f"ALTER TABLE {table} ADD COLUMN mood TEXT DEFAULT 'fine'")

    with open_store(f"duckdb:///{path}") as store:
        store.write(chunk(full_row("a")), fence=1)
        assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_a_table_of_another_name_gets_the_columns_of_a_newer_vertexq(path: Path) -> None:
    """As long as it holds all of ours: what ``columns=`` names is left to its owner."""
    url = f"duckdb:///{path}?table=answers"
    with open_store(url):
        pass
    ask(path, "ALTER TABLE answers DROP COLUMN reason")

    with open_store(url) as store:
        store.write(chunk(full_row("a")), fence=1)
        assert [result.reason for result in store.results(SUBMISSION)] == [full_row("a").reason]


def test_two_stores_with_tables_of_their_own_share_a_file(path: Path) -> None:
    """A submission may go to both; each has its own progress."""
    with (
        open_store(f"duckdb:///{path}?table=one") as first,
        open_store(f"duckdb:///{path}?table=two") as second,
    ):
        first.write(chunk(row("a")), fence=1)
        assert second.progress(source_range()).position == 0
        second.write(chunk(row("a")), fence=1)

    assert ask(path, "SELECT count(*) FROM one JOIN two USING (submission_id, key)") == [(1,)]


def test_a_row_is_replaced_in_a_table_with_a_primary_key(path: Path) -> None:
    """Again and again in one file."""
    ask(path, "CREATE TABLE answers (id TEXT PRIMARY KEY, answer TEXT, cost_usd DOUBLE)")

    with open_store(f"duckdb:///{path}?{OURS}") as store:
        for number in range(4):
            made = chunk(row("a", text=str(number)), start=number * STEP_BYTES, replacing=["a"])
            store.write(made, fence=1)

    assert ask(path, "SELECT id, answer FROM answers") == [("a", "3")]
