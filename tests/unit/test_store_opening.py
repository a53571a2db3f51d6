"""A URL picks its store; what cannot be opened is said in one sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vertexq.errors import BadInput, BadSettings, UnknownStore
from vertexq.stores import open_store, schemes
from vertexq.stores.base import without_secrets
from vertexq.stores.parts import folder_name


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///results.db", "SqliteStore"),
        ("postgresql://user:word@host/db", "PostgresStore"),
        ("jsonl:///results", "JsonlStore"),
        ("jsonl:///results?compress=zstd&columns=key,text", "JsonlStore"),
        ("jsonl+gs://bucket/prefix", "JsonlGcsStore"),
        ("parquet:///results", "ParquetStore"),
        ("parquet+gs://bucket/prefix?columns=key,text", "ParquetGcsStore"),
        ("duckdb:///results.duckdb?table=answers", "DuckdbStore"),
    ],
)
def test_the_scheme_picks_the_store(url: str, kind: str) -> None:
    """Opening connects to nothing and creates nothing."""
    assert type(open_store(url)).__name__ == kind


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    """The message says what could be written instead."""
    with pytest.raises(UnknownStore, match=r"jsonl, jsonl\+gs, .*postgresql, sqlite"):
        open_store("oracle://somewhere")

    assert {"jsonl", "jsonl+gs", "postgresql", "sqlite"} <= set(schemes())


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "results.db",
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "duckdb:///",
            "duckdb:///:memory:",
        ),
        *("jsonl:///", "jsonl+gs:///x", "jsonl:///d?compress=lz4", "jsonl:///d?pack=zstd", "parquet:///"),
        *(
            "parquet:///d?table=t",
            "parquet:///d?compress=zstd",
            "parquet+gs:///x",
            "duckdb:///f?columns=text",
        ),
    ],
)
def test_a_url_that_names_no_place_is_refused(url: str) -> None:
    """Before anything is created."""
    with pytest.raises(BadSettings):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:word@host:5432/db?password=word", "postgresql://user@host:5432/db"),
        ("postgresql://user:w@rd@host/db", "postgresql://user@host/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("sqlite:////srv/results.db", "sqlite:////srv/results.db"),
    ],
)
def test_a_shown_url_has_no_secret(url: str, shown: str) -> None:
    """The password and the query are left out, the rest is as it was."""
    assert without_secrets(url) == shown


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a b", "ä", "a\n", "x" * 64, "\x00"])
def test_an_id_that_is_no_safe_folder_is_refused(name: str) -> None:
    """A submission's folder never leaves the store's directory."""
    with pytest.raises(BadInput):
        folder_name(name)


def test_stores_are_cheap_to_import() -> None:
    """Neither psycopg nor aiohttp nor google-auth is loaded before a store needs it."""
    heavy = {"psycopg", "aiohttp", "google.auth", "sqlite3"}
    look = f"print({heavy} & (set(sys.modules) - had))"  # what was there before is the interpreter's own
    code = f"import sys; had = set(sys.modules); import vertexq.stores; {look}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
