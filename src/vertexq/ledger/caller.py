"""Borrow the caller's connection, so that a submission exists if and only if the caller commits.

A psycopg or sqlite3 connection is dressed as a SQLAlchemy one, and the ledger runs the very statements on it
that it runs on its own. Nothing here commits, rolls back or closes what was borrowed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.pool import StaticPool

from vertexq.errors import BadInput
from vertexq.ledger.schema import submissions
from vertexq.ledger.translation import without_password

_DIALECTS = {"psycopg": "postgresql", "sqlite3": "sqlite"}
_IDLE = 0  # PQTRANS_IDLE, libpq: no transaction is open


class _Session(Protocol):
    def connection(self) -> Connection: ...


class _Borrowed:
    """A driver's connection on which only cursors can be opened, and those with plain tuples."""

    def __init__(self, connection: Any) -> None:
        self.lender = connection

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Open a cursor that gives tuples, whatever the caller likes rows to be."""
        if isinstance(self.lender, sqlite3.Connection):
            cursor = self.lender.cursor()
            cursor.row_factory = None
            return cursor
        from psycopg.rows import tuple_row  # noqa: PLC0415  (psycopg is optional)

        return self.lender.cursor(*args, row_factory=tuple_row, **options)

    def commit(self) -> None:
        """Leave the transaction as it is."""

    def rollback(self) -> None:
        """Leave the transaction as it is."""

    def close(self) -> None:
        """Leave the connection open."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lender, name)


@contextmanager
def borrowed(connection: object, ledger: Engine) -> Generator[Connection]:
    """Yield ``connection`` as SQLAlchemy knows it; its transaction is the caller's before and after.

    After an error the caller may go on and commit: there is no half of a submission. Raise ``BadInput`` for
    another kind of connection, for one to a database without this ledger's tables, and for one that commits
    each statement by itself.
    """
    with _known(connection, ledger) as known, _whole(_checked(known, ledger)):
        yield known


@contextmanager
def _known(connection: object, ledger: Engine) -> Generator[Connection]:
    if isinstance(connection, Connection):
        yield connection
    elif _comes_from(connection, "sqlalchemy.orm"):
        yield cast("_Session", connection).connection()
    else:
        with _dressed(connection, ledger) as dressed:
            yield dressed


@contextmanager
def _whole(connection: Connection) -> Generator[None]:
    """Set a savepoint, inside a transaction that is the caller's to end.

    Where none is open yet, SQLite would take the savepoint for one, and its release for a commit.
    """
    driver = _driver(connection)
    begins = isinstance(driver, sqlite3.Connection) and not driver.in_transaction
    if begins:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        with connection.begin_nested():
            yield
    except BaseException:
        if begins:
            driver.execute("ROLLBACK")
        raise


@contextmanager
def _dressed(connection: object, ledger: Engine) -> Generator[Connection]:
    kinds = [kind for kind in _DIALECTS if _comes_from(connection, kind)]
    if not kinds or not hasattr(connection, "cursor") or "Async" in type(connection).__name__:
        raise BadInput(
            f"connection is a {type(connection).__module__}.{type(connection).__qualname__}; pass a psycopg "
            "or sqlite3 connection, or a SQLAlchemy connection or session (not an asynchronous one)"
        )
    if _DIALECTS[kinds[0]] != ledger.dialect.name:
        raise _elsewhere(ledger)
    pool = StaticPool(lambda: cast("Any", _Borrowed(connection)), reset_on_return=None)
    with Engine(pool, ledger.dialect, ledger.url, hide_parameters=True).connect() as dressed:
        yield dressed


def _checked(connection: Connection, ledger: Engine) -> Connection:
    """Look for the tables in the catalogue: a statement that fails would end the caller's transaction."""
    if connection.dialect.name != ledger.dialect.name or not inspect(connection).has_table(submissions.name):
        raise _elsewhere(ledger)
    if _commits_by_itself(_driver(connection)):
        raise BadInput(
            "the connection commits each statement by itself; begin a transaction on it first, so that the "
            "submission exists if and only if yours commits"
        )
    return connection


def _elsewhere(ledger: Engine) -> BadInput:
    return BadInput(
        "the connection's database does not hold the ledger's tables; pass a connection to "
        f"{without_password(ledger)}"
    )


def _driver(connection: Connection) -> Any:
    """Return the driver's connection, undressed."""
    driver = connection.connection.dbapi_connection
    return driver.lender if isinstance(driver, _Borrowed) else driver


def _commits_by_itself(connection: Any) -> bool:
    if isinstance(connection, sqlite3.Connection):
        by_itself = connection.isolation_level is None or getattr(connection, "autocommit", None) is True
        return by_itself and not connection.in_transaction
    if _comes_from(connection, "psycopg"):
        return bool(connection.autocommit and connection.info.transaction_status == _IDLE)
    return False


def _comes_from(thing: object, package: str) -> bool:
    return any(f"{kind.__module__}.".startswith(f"{package}.") for kind in type(thing).__mro__)
