"""A URL picks its store; what cannot be opened is said in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
            "sqlite:///f?tabel=t",
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


WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from vertexq.stores import open_store
from vertexq.testing.store_rows import chunk, row
try:
    with open_store({url!r}) as store:
        store.write(chunk(row("a")), fence=1)
except Exception as error:
    print(type(error).__name__, error)
"""
"""Writes a row where a package is not installed."""


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [
        ("psycopg", "postgresql://host/db", "postgres"),
        ("duckdb", "duckdb:///{}/r.duckdb", "duckdb"),
        ("pyarrow", "parquet:///{}", "parquet"),
        ("aiohttp", "jsonl+gs://bucket/prefix", "worker"),
        ("google", "bigquery://project.d.t", "worker"),
        ("google_crc32c", "jsonl:///{}", "worker"),
        ("zstandard", "jsonl:///{}?compress=zstd", "zstd"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    package: str, url: str, extra: str, tmp_path: Path
) -> None:
    """Nobody who uses a store for the first time is shown a traceback."""
    code = WITHOUT.format(package=package, url=url.format(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("BadSettings"), done.stdout
    assert package in done.stdout
    assert f"vertexq[{extra}]" in done.stdout
