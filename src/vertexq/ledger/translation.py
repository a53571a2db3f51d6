"""SQLAlchemy's errors into ours. No message holds a password, a statement or its values."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vertexq.errors import BadInput, Conflict, Unreachable, VertexqError

_IN_THE_WAY = ("40001", "40P01")  # serialization_failure, deadlock_detected (PostgreSQL 18, appendix A)


@contextmanager
def translated(engine: Engine) -> Generator[None]:
    """Turn what a database says about the ledger into errors of ours; let everything else through."""
    try:
        yield
    except StatementError as error:
        if not isinstance(error, DBAPIError):  # a value of ours that its column refused before it was sent
            raise error.orig or error from None
        raise _of_driver(without_password(engine), error) from error
    except OverflowError as error:  # SQLite's driver says so by itself
        raise BadInput(
            f"the ledger at {without_password(engine)} cannot hold a value ({error}); mend what was passed in"
        ) from error
    except PoolTimeout as error:
        raise Unreachable(
            f"every connection to the ledger at {without_password(engine)} was in use for 30 s; "
            "use fewer threads, or look for what holds them"
        ) from error


def without_password(engine: Engine) -> str:
    """Return the engine's URL as it may be shown."""
    return engine.url.set(drivername=engine.dialect.name, query={}).render_as_string(hide_password=True)


def _of_driver(where: str, error: DBAPIError) -> VertexqError:
    said = first_line(error.orig)
    if isinstance(error, DataError):
        return BadInput(f"the ledger at {where} cannot hold a value ({said}); mend what was passed in")
    if isinstance(error, IntegrityError):
        return Conflict(f"the ledger at {where} has such a record already ({said}); read it again")
    if getattr(error.orig, "sqlstate", None) in _IN_THE_WAY:
        return Conflict(f"the ledger at {where} was being changed by somebody else ({said}); do it again")
    if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return Unreachable(
            f"the ledger at {where} is busy ({said}): another process has been writing for too long; "
            "find it, or move the ledger to PostgreSQL"
        )
    return Unreachable(f"the ledger at {where} cannot be used ({said}); {_advice(error.orig)}")


def _advice(error: object) -> str:
    match getattr(error, "sqlite_errorcode", None):
        case None:
            return "check the ledger's URL, that its database is running, and that this user may write to it"
        case sqlite3.SQLITE_NOTADB:
            return "the file is no SQLite database: name another file in the ledger's URL, or move it away"
        case sqlite3.SQLITE_CANTOPEN:
            return (
                "check that the ledger's URL names a file, not a folder, and that this user may write there"
            )
        case _:
            return "check the file, that its disk has room, and that this user may write to it"


def first_line(error: object) -> str:
    """Return the first line of what a driver said; the lines after it may quote values."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else "no reason given"
