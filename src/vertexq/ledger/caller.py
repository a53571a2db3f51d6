"""Enqueue in the caller's own transaction, on a psycopg, sqlite3 or SQLAlchemy connection; never commit."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session, scoped_session

from vertexq.errors import BadInput, IdConflict
from vertexq.ledger.convert import new_submission_row
from vertexq.ledger.schema import audit, spool, submissions
from vertexq.messages import unrecorded
from vertexq.model import NewSubmission, Submission

_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)")
_SQLITE_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class _Runs(Protocol):
    """The one thing that is asked of a connection: run a statement, return its rows."""

    def __call__(self, statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]: ...


def enqueue_on(connection: object, new: NewSubmission, chunks: Iterable[bytes]) -> tuple[Submission, bool]:
    """Write a submission on the caller's connection; it exists if and only if the caller commits.

    Raise ``BadInput`` for a connection of an unknown kind, or to a database without the ledger's tables.
    """
    run, is_sqlite = _runner(connection)
    _check_tables(run, is_sqlite=is_sqlite)
    now = _now(run, is_sqlite=is_sqlite)
    row = new_submission_row(new, now)
    inserted = _insert(
        run, submissions, row, is_sqlite=is_sqlite, tail="ON CONFLICT (id) DO NOTHING RETURNING id"
    )
    if not inserted:
        found = run("SELECT fingerprint FROM vertexq_submissions WHERE id = :id", {"id": new.id})
        if not found or found[0][0] != new.fingerprint:
            raise IdConflict(
                f"submission {new.id!r} exists with different content (rows, model, store or options); "
                "use another id, or enqueue exactly what was enqueued before"
            )
        return unrecorded(new, now), False
    for seq, data in enumerate(chunks):
        _insert(run, spool, {"submission_id": new.id, "seq": seq, "data": data}, is_sqlite=is_sqlite)
    line = {
        "record": "submission", "record_id": new.id, "at": now, "from_state": "", "to_state": row["state"],
        "version": 1, "actor": "producer", "reason": "",
    }  # fmt: skip
    _insert(run, audit, line, is_sqlite=is_sqlite)
    return unrecorded(new, now), True


def _now(run: _Runs, *, is_sqlite: bool) -> datetime:
    """Return the database's clock."""
    if is_sqlite:
        stamp = run("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')", {})[0][0]
        return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
    now: datetime = run("SELECT clock_timestamp()", {})[0][0]
    return now.astimezone(UTC)


def _check_tables(run: _Runs, *, is_sqlite: bool) -> None:
    """Look in the catalogue, because a failed statement would end the caller's transaction."""
    query = (
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
        if is_sqlite
        else "SELECT 1 WHERE to_regclass(:name) IS NOT NULL"
    )
    if not run(query, {"name": submissions.name}):
        raise BadInput(
            "the connection's database has no vertexq ledger; pass a connection to the database that "
            "VERTEXQ_LEDGER_URL names, after a worker or `vertexq status` has created the tables there"
        )


def _insert(
    run: _Runs, table: Table, row: Mapping[str, Any], *, is_sqlite: bool, tail: str = ""
) -> Sequence[Sequence[Any]]:
    names = list(row)
    listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    values = {name: _plain(value, is_sqlite=is_sqlite) for name, value in row.items()}
    return run(f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks}) {tail}', values)


def _plain(value: Any, *, is_sqlite: bool) -> Any:
    """Turn a value into what any driver takes: JSON as text, instants as the ledger stores them."""
    if isinstance(value, Mapping):
        return orjson.dumps(value).decode()
    if isinstance(value, datetime) and is_sqlite:
        return value.strftime(_SQLITE_TIME)
    return value


def _runner(connection: object) -> tuple[_Runs, bool]:
    if isinstance(connection, sqlite3.Connection):
        return _on_sqlite(connection), True
    if isinstance(connection, Session | scoped_session):
        connection = connection.connection()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(connection, Connection):
        return _on_sqlalchemy(connection), connection.dialect.name == "sqlite"
    if type(connection).__module__.partition(".")[0] == "psycopg" and hasattr(connection, "execute"):
        return _on_psycopg(connection), False
    raise BadInput(
        f"connection is a {type(connection).__module__}.{type(connection).__qualname__}; pass a psycopg, "
        "sqlite3 or SQLAlchemy connection, or a SQLAlchemy session (synchronous ones)"
    )


def _on_sqlite(connection: sqlite3.Connection) -> _Runs:
    def run(statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return connection.execute(statement, values).fetchall()

    return run


def _on_psycopg(connection: Any) -> _Runs:
    def run(statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(_percent(statement), values)
            rows: Sequence[Sequence[Any]] = cursor.fetchall() if cursor.description else []
            return rows

    return run


def _on_sqlalchemy(connection: Connection) -> _Runs:
    def run(statement: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        done = connection.exec_driver_sql(*_driver_form(connection.dialect, statement, values))
        return [tuple(row) for row in done] if done.returns_rows else []

    return run


def _driver_form(dialect: Dialect, statement: str, values: Mapping[str, Any]) -> tuple[str, Any]:
    if dialect.paramstyle == "qmark":
        names = _PARAMETER.findall(statement)
        return _PARAMETER.sub("?", statement), tuple(values[name] for name in names)
    return _percent(statement), dict(values)


def _percent(statement: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", statement)
