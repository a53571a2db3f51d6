"""Open the database behind a ledger URL, with the settings that make its promises hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError

from vertexq.errors import BadSettings, Unreachable

BUSY_S = 30
"""How long SQLite waits for another writer, in seconds."""


def open_engine(text: str) -> Engine:
    """Return an engine for ``sqlite:///…`` or ``postgresql://…``; nothing is connected yet.

    Raise ``BadSettings`` for a URL that is neither.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadSettings(
            "VERTEXQ_LEDGER_URL is no database URL; use sqlite:///ledger.db or postgresql://user@host/db"
        ) from error
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.get_backend_name() in ("postgresql", "postgres"):
        return _postgres(url)
    raise BadSettings(
        f"VERTEXQ_LEDGER_URL names {url.get_backend_name()!r}; the ledger runs on sqlite and postgresql"
    )


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connected(connection: sqlite3.Connection, _record: object) -> None:
    """Take transactions into our own hands and make a commit survive a power cut."""
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_S * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    """Start as a writer at once: a reader that turns writer half way can only fail."""
    reading = connection.get_execution_options().get("vertexq_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgres(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=5,
            connect_args={"connect_timeout": 10, "application_name": "vertexq"},
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise BadSettings(
            "VERTEXQ_LEDGER_URL is a PostgreSQL URL and psycopg is not installed; install vertexq[postgres]"
        ) from error


@contextmanager
def translated(engine: Engine) -> Generator[None]:
    """Turn "cannot connect" and "connection lost" into ``Unreachable``, without the password."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        where = engine.url.render_as_string(hide_password=True)
        raise Unreachable(
            f"the ledger at {where} cannot be used ({_first_line(error.orig)}); "
            "check VERTEXQ_LEDGER_URL and that the database is running"
        ) from error


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"
