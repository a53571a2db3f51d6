"""The DuckDB file behind the simulated BigQuery: one connection, one thread, one transaction at a time."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from vertexq.errors import Unavailable
from vertexq.simulator.bigquery.functions import MACROS

T = TypeVar("T")

_OPTIONS = {
    "enable_external_access": "false",  # SQL must not read this machine's files
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "2",
    "memory_limit": "1GB",
}
_SCHEMA = (
    "SET TimeZone = 'UTC'",
    "CREATE SCHEMA IF NOT EXISTS _past",
    "CREATE SCHEMA IF NOT EXISTS _results",
    "CREATE SCHEMA IF NOT EXISTS _sim",
    "CREATE TABLE IF NOT EXISTS _sim.datasets (project VARCHAR, dataset VARCHAR, body VARCHAR)",
    "CREATE TABLE IF NOT EXISTS _sim.tables (project VARCHAR, dataset VARCHAR, name VARCHAR, body VARCHAR)",
    "CREATE TABLE IF NOT EXISTS _sim.jobs (project VARCHAR, location VARCHAR, id VARCHAR, body VARCHAR)",
)


class Database:
    """What runs inside one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        found: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
        return found

    def described(self, sql: str) -> Sequence[Sequence[Any]]:
        """Return the description of what ``sql`` selects, without reading it."""
        description: Sequence[Sequence[Any]] = self._connection.execute(f"FROM ({sql}) LIMIT 0").description
        return description


class Warehouse:
    """The file at ``path``; opened at its first use: most simulators are never asked for BigQuery."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Any = None
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[Database], T]) -> T:
        """Run ``work`` in one transaction, after those that were asked for before; all of it or nothing."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="vertexq-bigquery")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    async def close(self) -> None:
        """Close the file when what runs has ended. Safe to repeat."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    @property
    def used(self) -> bool:
        """Whether there is anything in it: it is open, or was filled by an earlier run."""
        return self._connection is not None or self._path.exists()

    def _transaction(self, work: Callable[[Database], T]) -> T:
        if self._connection is None:
            self._connection = _connect(self._path)
        self._connection.execute("BEGIN")
        try:
            done = work(Database(self._connection))
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        return done

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def foreign_errors() -> type[Exception]:
    """Return the class of DuckDB's errors."""
    kind: type[Exception] = importlib.import_module("duckdb").Error
    return kind


def _connect(path: Path) -> Any:
    try:
        duckdb = importlib.import_module("duckdb")
        importlib.import_module("sqlglot")
    except ImportError as error:
        raise Unavailable(
            f"the simulated BigQuery needs the package {error.name!r}; install vertexq[local]", status=501
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(path), config=_OPTIONS)
    for statement in (*_SCHEMA, *MACROS):
        connection.execute(statement)
    return connection
