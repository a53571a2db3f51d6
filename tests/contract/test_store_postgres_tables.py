"""Tables of the user's own in PostgreSQL: made, checked, written in part, widened, and cut by day."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from vertexq.errors import BadSettings, StoreRefused
from vertexq.results import Outcome
from vertexq.stores import open_store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, full_row, row, source_range

OURS = "columns=key:id,text:answer,cost_usd"


@pytest.fixture
def url(schema_url: str) -> str:
    """Name a schema nobody used; options may be added with &."""
    return schema_url


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """Run a statement and return what it gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def test_rows_land_in_a_table_that_the_url_names(url: str) -> None:
    """It is made with the columns that the URL names, and no others."""
    with open_store(f"{url}&table=answers&{OURS}") as store:
        store.write(chunk(full_row("a"), row("b", text="t")), fence=1)
        found = {result.key: result for result in store.results(SUBMISSION)}

    assert ask(url, "SELECT * FROM answers ORDER BY id") == [
        ("a", "an answer to a", 0.000123456789),
        ("b", "t", None),
    ]
    assert (found["b"].text, found["b"].outcome, found["b"].response) == ("t", Outcome.SUCCEEDED, None)


def test_rows_land_in_a_table_that_was_there(url: str) -> None:
    """Beside columns of the user's own, with types of the user's own, over a row that was there."""
    ask(
        url,
        "CREATE TABLE answers (id bigint PRIMARY KEY, who text DEFAULT 'me', answer varchar(9), "
        "cost_usd numeric(12, 9), said jsonb)",
    )
    ask(url, "INSERT INTO answers (id, who, answer) VALUES (7, 'you', 'old')")

    with open_store(f"{url}&table=answers&{OURS},response:said") as store:
        response = b'{"a": [1, 2]}'
        store.write(chunk(row("7", text="new", cost_usd=0.5, response=response), row("8")), fence=1)
        found = {result.key: result for result in store.results(SUBMISSION)}

    assert ask(url, "SELECT id, who, answer, cost_usd::text FROM answers ORDER BY id") == [
        (7, "you", "new", "0.500000000"),
        (8, "me", None, None),
    ]
    assert found["7"].response == {"a": [1, 2]}


def test_a_value_that_the_users_table_cannot_hold_is_set_aside(url: str) -> None:
    """A key that is no number, and a text that is too long: nothing is cut off, the rest goes in."""
    ask(url, "CREATE TABLE answers (id bigint PRIMARY KEY, answer varchar(3), cost_usd real)")

    with open_store(f"{url}&table=answers&{OURS}") as store:
        refused = store.write(chunk(row("1", text="yes"), row("x"), row("2", text="long")), fence=1)
        reasons = sorted(line.reason for line in store.quarantine(SUBMISSION))

    assert refused == {"x", "2"}
    assert ask(url, "SELECT id, answer FROM answers ORDER BY id") == [(1, "yes"), (2, None)]
    assert "invalid input syntax" in reasons[0]
    assert '"x"' not in reasons[0]
    assert "too long" in reasons[1]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id text PRIMARY KEY, answer text", "no column cost_usd"),
        ("id text, answer text, cost_usd real", r"no unique index on \(id\)"),
        ("id text PRIMARY KEY, answer boolean, cost_usd real", "answer is boolean; for text it may be text"),
        ("id text PRIMARY KEY, answer text NOT NULL, cost_usd real", "answer is NOT NULL"),
        ("id text PRIMARY KEY, answer text, cost_usd real, who text NOT NULL", "who wants a value"),
    ],
)
def test_a_table_that_cannot_take_rows_is_said_so(url: str, columns: str, said: str) -> None:
    """When the store is opened, before anything is paid for."""
    ask(url, f"CREATE TABLE answers ({columns})")

    with pytest.raises(BadSettings, match=said), open_store(f"{url}&table=answers&{OURS}"):
        pass


def test_all_that_is_wrong_is_said_at_once(url: str) -> None:
    """One look, one list."""
    ask(url, "CREATE TABLE answers (id boolean, answer integer)")

    with pytest.raises(BadSettings) as refused, open_store(f"{url}&table=answers&{OURS}"):
        pass

    assert [word in str(refused.value) for word in ("cost_usd", "boolean", "integer", "unique")] == [True] * 4


def test_without_the_outcome_the_ledgers_word_replaces(url: str) -> None:
    """What the ledger judged replaces; of rows it did not know of, one that failed replaces nothing."""
    with open_store(f"{url}&table=answers&{OURS}") as store:
        store.write(chunk(row("a", text="1"), row("b", text="1")), fence=1)
        later = [
            row("a", text="2", outcome="failed"),
            row("b", text="2", outcome="failed"),
            row("c", text="2"),
        ]
        store.write(chunk(*later, start=STEP_BYTES, replacing=["a"]), fence=1)

    assert ask(url, "SELECT id, answer FROM answers ORDER BY id") == [("a", "2"), ("b", "1"), ("c", "2")]


def _narrow(url: str) -> None:
    """Make the table as it was before three columns were added, with a row in it."""
    with open_store(url) as store:
        store.write(chunk(row("old")), fence=1)
    for name in ("reason", "parsed", "function_calls"):
        ask(url, f"ALTER TABLE vertexq_results DROP COLUMN {name}")


def test_a_newer_vertexq_adds_its_columns(url: str) -> None:
    """Rows that were there have nulls in them."""
    _narrow(url)

    with open_store(url) as store:
        store.write(chunk(row("new", reason="MAX_TOKENS"), start=STEP_BYTES), fence=1)
        reasons = {result.key: result.reason for result in store.results(SUBMISSION)}

    assert reasons == {"old": None, "new": "MAX_TOKENS"}


def test_an_older_vertexq_writes_a_newer_table(url: str) -> None:
    """It leaves alone what it does not know."""
    with open_store(url):
        ask(url, "ALTER TABLE vertexq_results ADD COLUMN mood text, ADD COLUMN rounds int NOT NULL DEFAULT 1")

    with open_store(url) as store:
        store.write(chunk(full_row("a")), fence=1)
        assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_one_who_may_not_add_columns_reads_and_is_told(url: str) -> None:
    """A reader does without the new columns; a writer says what the owner should run."""
    _narrow(url)
    role, schema = f"r{uuid.uuid4().hex}", url.rpartition("%3D")[2]
    ask(url, f"CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA {schema} TO {role}")
    ask(url, f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}")
    limited = f"postgresql://{role}:p@{url.partition('@')[2]}"

    with open_store(limited) as store:
        assert [result.reason for result in store.results(SUBMISSION)] == [None]
        with pytest.raises(StoreRefused, match='ADD COLUMN IF NOT EXISTS "reason" text'):
            store.write(chunk(row("new"), start=STEP_BYTES), fence=1)


def _partitions(url: str) -> list[str]:
    found = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'vertexq_results'::regclass"
    return sorted(
        str(name)
        for (name,) in ask(url, f"{found} AND inhrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')")
    )


def test_a_submission_stays_in_the_partition_of_its_first_day(url: str) -> None:
    """So a key of it is there once, although PostgreSQL wants the day in the primary key."""
    with open_store(f"{url}&partition=day") as store:
        store.write(chunk(row("a", outcome="failed")), fence=1)
    ask(url, "UPDATE vertexq_days SET arrived_on = '2020-02-29'")
    ask(url, "CREATE TABLE vertexq_results_20200229 (LIKE vertexq_results INCLUDING ALL)")
    ask(url, "ALTER TABLE vertexq_results_20200229 ALTER arrived_on SET DEFAULT '2020-02-29'")
    ask(url, "INSERT INTO vertexq_results_20200229 (submission_id, key, batch_id, outcome, attempt) "
        "SELECT submission_id, key, batch_id, outcome, attempt FROM vertexq_results")  # fmt: skip
    ask(url, f"DROP TABLE {_partitions(url)[0]}")
    ask(url, "ALTER TABLE vertexq_results ATTACH PARTITION vertexq_results_20200229 "
        "FOR VALUES FROM ('2020-02-29') TO ('2020-03-01')")  # fmt: skip

    with open_store(f"{url}&partition=day") as store:
        store.write(chunk(row("a", text="2"), row("b"), start=STEP_BYTES), fence=1)
        store.write(
            chunk(row("a", submission_id="sub-2"), source=source_range("b9", submission_id="sub-2")), fence=1
        )
        found = {result.key: result.text for result in store.results(SUBMISSION)}

    assert found == {"a": "2", "b": None}
    assert len(_partitions(url)) == 2
    assert ask(url, "SELECT count(*) FROM vertexq_results_20200229") == [(2,)]


def test_a_partition_that_was_dropped_comes_back_for_late_rows(url: str) -> None:
    """Old days are dropped whole; a store that was open does not fail on it."""
    with open_store(f"{url}&partition=day") as store:
        store.write(chunk(row("a")), fence=1)
        (day,) = _partitions(url)
        ask(url, f"DROP TABLE {day}")
        store.write(chunk(row("b"), start=STEP_BYTES), fence=1)

        assert [result.key for result in store.results(SUBMISSION)] == ["b"]
        ask(url, f"ALTER TABLE vertexq_results DETACH PARTITION {day}")
    with open_store(f"{url}&partition=day") as store, pytest.raises(StoreRefused, match="attach it again"):
        store.write(chunk(row("c"), start=2 * STEP_BYTES), fence=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [("partition=week", "one word: day"), (f"partition=day&{OURS}", "needs submission_id")],
)
def test_a_partition_that_cannot_be_is_refused(url: str, options: str, said: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(BadSettings, match=said):
        open_store(f"{url}&{options}")


@pytest.mark.parametrize(("first", "then"), [("", "&partition=day"), ("&partition=day", "")])
def test_a_table_stays_as_it_was_cut(url: str, first: str, then: str) -> None:
    """A table that is not partitioned does not become so, nor the other way round."""
    with open_store(url + first):
        pass

    with pytest.raises(BadSettings, match="partitioned"), open_store(url + then):
        pass


def test_two_stores_with_tables_of_their_own_share_a_database(url: str) -> None:
    """A submission may go to both; each has its own progress."""
    with open_store(f"{url}&table=one") as first, open_store(f"{url}&table=two") as second:
        first.write(chunk(row("a")), fence=1)
        assert second.progress(source_range()).position == 0
        second.write(chunk(row("a")), fence=1)

    assert ask(url, "SELECT count(*) FROM one JOIN two USING (submission_id, key)") == [(1,)]
