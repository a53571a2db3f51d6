"""Vectors in PostgreSQL: pgvector's types, arrays where they cannot be had, and tables that are there."""

from __future__ import annotations

import logging
import struct
import uuid

import orjson
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq.embedded import Postgres
from vertexq.errors import BadSettings
from vertexq.stores import open_store
from vertexq.stores.postgres_vectors import VectorColumn
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, row

OURS = "table=answers&columns=key:id,embedding:vec"
KINDS = ["vector", "halfvec", "real[]", "double precision[]", "json", "jsonb", "text", "varchar(99)"]


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    """Run a statement and return what it gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def type_of(url: str, table: str = "vertexq_results", column: str = "embedding") -> object:
    """Return the type of a column as PostgreSQL writes it."""
    said = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid"
    return ask(url, f"{said} = '{table}'::regclass AND attname = '{column}'")[0][0]


@pytest.mark.parametrize(("option", "kind"), [("3", "vector(3)"), ("halfvec:3", "halfvec(3)")])
def test_pgvector_is_used_when_the_size_is_known(postgres_url: str, option: str, kind: str) -> None:
    """The extension is made, and its operators find the nearest neighbours."""
    with open_store(f"{postgres_url}?vector={option}") as store:
        rows = [row(f"k{n}", embedding=orjson.dumps([n, 1.5, -0.25])) for n in range(5)]
        store.write(chunk(*rows, row("none")), fence=1)
        (found,) = [one for one in store.results(SUBMISSION) if one.key == "k4"]

    assert str(type_of(postgres_url)).removeprefix("public.") == kind
    assert found.embedding == [4.0, 1.5, -0.25]
    nearest = (
        "SELECT key FROM vertexq_results WHERE embedding IS NOT NULL ORDER BY embedding OPERATOR(public.<->)"
    )
    assert [key for (key,) in ask(postgres_url, f"{nearest} '[3, 1.5, -0.25]' LIMIT 2")] == ["k3", "k2"]


def test_two_schemas_share_the_extension(postgres_url: str, postgres: Postgres) -> None:
    """Where it is already, it is taken from there, whatever the search path."""
    for schema in (f"v{uuid.uuid4().hex}", f"v{uuid.uuid4().hex}"):
        ask(postgres.url, f"CREATE SCHEMA {schema}")
        with open_store(f"{postgres.url}?options=-csearch_path%3D{schema}&vector=3&partition=day") as store:
            store.write(chunk(row("a", embedding=b"[1, 2, 3]")), fence=1)
            assert next(store.results(SUBMISSION)).embedding == [1.0, 2.0, 3.0]


def test_without_the_right_to_make_the_extension_there_is_an_array(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Its length is checked all the same, by us and by the table; a line in the log says so."""
    role = f"r{uuid.uuid4().hex}"
    ask(postgres.url, f"CREATE DATABASE {role}")
    ask(postgres.url, f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
    database = postgres.database_url(role)
    ask(database, f"CREATE SCHEMA mine AUTHORIZATION {role}")
    url = f"postgresql://{role}:p@{database.partition('@')[2]}?options=-csearch_path%3Dmine"
    with caplog.at_level(logging.WARNING), open_store(f"{url}&vector=3") as store:
        rows = [row("a", embedding=b"[1, 2, 3]"), row("b", embedding=b"[1, 2]")]
        assert store.write(chunk(*rows), fence=1) == {"b"}

    assert type_of(url) == "real[]"
    (said,) = [record.getMessage() for record in caplog.records]
    assert "may not make the extension vector" in said
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(url, "UPDATE vertexq_results SET embedding = '{1}'")
    with pytest.raises(BadSettings, match=r"real\[\]\(3\), and vector=4"), open_store(f"{url}&vector=4"):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_is_there_is_taken_as_it_is(postgres_url: str, kind: str) -> None:
    """New rows, replaced ones and rows without a vector, whatever it holds vectors as."""
    ask(postgres_url, "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    whole = f"public.{kind}(3)" if kind in {"vector", "halfvec"} else kind
    ask(postgres_url, f"CREATE TABLE answers (id text PRIMARY KEY, vec {whole})")

    with open_store(f"{postgres_url}?{OURS}&vector=3") as store:
        store.write(chunk(row("a", embedding=b"[1, 2, 3]"), row("b"), row("c", embedding=b"[9]")), fence=1)
        later = [row("a", embedding=b"[0.5, -2, 4]"), row("d", embedding=b"[7.0, 8, 9]")]
        store.write(chunk(*later, start=STEP_BYTES, replacing=["a"]), fence=1)
        found = {one.key: one.embedding for one in store.results(SUBMISSION)}

    assert found == {"a": [0.5, -2.0, 4.0], "b": None, "c": None, "d": [7.0, 8.0, 9.0]}


@pytest.mark.parametrize(
    "kind", ["public.vector(4)", "public.halfvec(4)", "integer[]", "bytea", "public.vector[]"]
)
def test_a_column_that_cannot_take_vectors_is_refused(postgres_url: str, kind: str) -> None:
    """When the store is opened, before anything is paid for."""
    ask(postgres_url, "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    ask(postgres_url, f"CREATE TABLE answers (id text PRIMARY KEY, vec {kind})")

    with pytest.raises(BadSettings, match="its column vec is"), open_store(f"{postgres_url}?{OURS}&vector=3"):
        pass


def test_an_older_table_gets_the_type_that_the_url_names(postgres_url: str) -> None:
    """Rows that were there have nulls in it."""
    with open_store(postgres_url) as store:
        store.write(chunk(row("old")), fence=1)
    ask(postgres_url, "ALTER TABLE vertexq_results DROP COLUMN embedding")

    with open_store(f"{postgres_url}?vector=3") as store:
        store.write(chunk(row("new", embedding=b"[1, 2, 3]"), start=STEP_BYTES), fence=1)
        found = {one.key: one.embedding for one in store.results(SUBMISSION)}

    assert found == {"old": None, "new": [1.0, 2.0, 3.0]}
    assert str(type_of(postgres_url)).endswith("vector(3)")


NUMBERS = st.lists(st.floats(-60_000, 60_000, width=32), min_size=1, max_size=40)


@given(numbers=NUMBERS)
@settings(max_examples=100, deadline=None)
def test_our_bytes_are_those_that_postgresql_sends(numbers: list[float], postgres: Postgres) -> None:
    """A field as it is written is what the type's own function for sending gives, byte for byte."""
    raw = orjson.dumps(numbers)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        for kind in ("vector", "halfvec", "real[]", "double precision[]"):
            sent = kind if kind in {"vector", "halfvec"} else "array"
            query = f"SELECT {sent}_send(%s::{kind})"
            value = f"[{', '.join(map(repr, numbers))}]"
            given_as = value if sent != "array" else f"{{{value[1:-1]}}}"
            (theirs,) = connection.execute(query.encode(), (given_as,)).fetchone() or (b"",)
            ours = VectorColumn(kind=kind).encoder(None)(raw)
            assert ours == struct.pack(">i", len(theirs)) + theirs
