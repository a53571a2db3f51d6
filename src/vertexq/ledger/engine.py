"""Open the database behind a ledger's URL, with the settings that make its promises hold."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from vertexq.addresses import LOOSE, is_loose, make_private
from vertexq.errors import BadSettings, Unreachable
from vertexq.ledger.translation import translated, without_password

__all__ = ["open_engine", "translated", "without_password"]

BUSY_S = 30
"""How long SQLite waits for another writer, in seconds; ``?timeout=`` in the URL wins over it."""
CONNECT_S = 10
SWITCH_WAIT_S = 0.01
WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""What SQLite keeps of its write-ahead log after a large spool went through it."""
SCHEMES = {
    "sqlite": ("sqlite", "sqlite+pysqlite"),
    "postgresql": ("postgresql", "postgres", "postgresql+psycopg"),
}

SQLITE_OPTIONS = frozenset(  # of sqlite3.connect (Python 3.11), and SQLAlchemy's own "uri"
    ("cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout", "uri")
)

_POSTGRES = {
    "application_name": "vertexq",
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 30,  # notice a peer that is gone without a word
    "tcp_user_timeout": 30_000,  # milliseconds; libpq 12, runtime configuration of connections
}
_POSTGRES_OPTIONS = (  # milliseconds; every statement of ours takes far less, so a longer one is stuck
    "-c statement_timeout=60000 -c lock_timeout=30000 -c idle_in_transaction_session_timeout=300000"
)

_open: WeakSet[Engine] = WeakSet()


def open_engine(text: str) -> Engine:
    """Return an engine for ``sqlite:///file.db`` or ``postgresql://user@host/db``; nothing is connected yet.

    Raise ``BadSettings`` for a URL that is neither, or has options that its database does not know.
    """
    if is_loose(text):
        raise BadSettings(f"the ledger's URL {LOOSE}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise BadSettings(
            "the ledger's URL cannot be read; use sqlite:///ledger.db or postgresql://user@host/db "
            "(a password with special characters must be percent-encoded)"
        ) from error
    if url.drivername in SCHEMES["sqlite"]:
        engine = _sqlite(url)
    elif url.drivername in SCHEMES["postgresql"]:
        engine = _postgres(url)
    else:
        raise BadSettings(
            f"the ledger's URL begins with {url.drivername}://; the ledger runs on sqlite:///file.db and on "
            "postgresql://user@host/db (through psycopg 3)"
        )
    _open.add(engine)
    return engine


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise BadSettings(
            "a ledger in memory would forget what was paid for; name a file: sqlite:///ledger.db"
        )
    if not url.database.startswith("file:"):  # such a URI names a file in SQLite's own way
        _check_options(url, set(url.query) - SQLITE_OPTIONS)
        _make_parent(Path(url.database))
    defaults = {} if "timeout" in url.query else {"timeout": BUSY_S}
    engine = create_engine(url, connect_args=defaults, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _check_options(url: URL, unknown: set[str]) -> None:
    if unknown:
        raise BadSettings(
            f"the ledger's URL has options that {url.get_backend_name()} does not know: "
            f"{', '.join(sorted(name[:40] for name in unknown))}; remove them, or mend their names"
        )


def _make_parent(file: Path) -> None:
    try:
        make_private(file.parent)
    except OSError as error:
        raise Unreachable(
            f"the folder {file.parent} of the ledger cannot be made ({error.strerror}); "
            "make it, or name another file in the ledger's URL"
        ) from error


def _sqlite_connected(connection: sqlite3.Connection, _record: object) -> None:
    """Take transactions into our own hands and make a commit survive a power cut."""
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        _switch_to_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={WAL_LIMIT_BYTES}"):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch once in the file's life.

    The busy timeout does not cover two processes that switch at once, so the one that came second asks again
    (8 processes on a fresh file: 2 of 320 were told "database is locked" without this).
    """
    end = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(SWITCH_WAIT_S)
        else:
            return


def _sqlite_begin(connection: Connection) -> None:
    """Start as a writer at once: a reader that turns writer half way can only fail."""
    reading = connection.get_execution_options().get("vertexq_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgres(url: URL) -> Engine:
    given = url.query.get("options", "")
    options = " ".join((_POSTGRES_OPTIONS, *((given,) if isinstance(given, str) else given))).strip()
    defaults = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    try:
        _check_options(url, _unknown_to_libpq(url))
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",  # whatever the server's default: counts need fresh snapshots
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={**defaults, "options": options},
        )
    except ModuleNotFoundError as error:
        raise BadSettings(
            "the ledger's URL names PostgreSQL and psycopg is not installed; pip install 'vertexq[postgres]'"
        ) from error


def _unknown_to_libpq(url: URL) -> set[str]:
    import psycopg  # noqa: PLC0415  (an extra: only those whose ledger is a PostgreSQL need it)

    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    return set(url.query) - known


def _close_idle() -> None:
    for engine in list(_open):
        engine.dispose()


def _forget_inherited() -> None:
    for engine in list(_open):
        engine.dispose(close=False)


# A connection must not be used on both sides of a fork: close what is idle before it, and let the child open
# its own (docs.sqlalchemy.org, "Using Connection Pools with Multiprocessing or os.fork()").
if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(before=_close_idle, after_in_child=_forget_inherited)
