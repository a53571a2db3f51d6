"""Enqueue in the caller's own transaction: the submission exists if and only if the caller commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.contract.ledger_values import S, new_submission
from vertexq.errors import BadInput, IdConflict, UnknownSubmission
from vertexq.ledger import Ledger, Record


@dataclass(frozen=True)
class Caller:
    """A caller's connection, and how the caller ends its transaction."""

    connection: Any
    commit: Callable[[], None]
    rollback: Callable[[], None]


def _engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


@contextmanager
def _driver(url: str) -> Generator[Any]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            yield connection
    else:
        with psycopg.connect(url) as connection:
            yield connection


@contextmanager
def _driver_of_taste(url: str) -> Generator[Any]:
    """Open a connection whose rows are no tuples."""
    with _driver(url) as connection:
        if isinstance(connection, sqlite3.Connection):
            connection.row_factory = sqlite3.Row
        else:
            connection.row_factory = dict_row
        yield connection


@contextmanager
def _of_sqlalchemy(url: str, wrap: Callable[[Engine, ExitStack], Any]) -> Generator[Any]:
    engine = _engine(url)
    with ExitStack() as stack:
        yield wrap(engine, stack)
    engine.dispose()


KINDS: dict[str, Callable[[str], Any]] = {
    "driver": _driver,
    "driver with rows of its own": _driver_of_taste,
    "sqlalchemy connection": lambda url: _of_sqlalchemy(
        url, lambda e, stack: stack.enter_context(e.connect())
    ),
    "sqlalchemy session": lambda url: _of_sqlalchemy(url, lambda e, stack: stack.enter_context(Session(e))),
    "sqlalchemy scoped session": lambda url: _of_sqlalchemy(
        url, lambda e, _: scoped_session(sessionmaker(e))
    ),
}


@pytest.fixture(params=list(KINDS))
def caller(request: pytest.FixtureRequest, ledger: Ledger, ledger_url: str) -> Iterator[Caller]:
    """Open the caller's connection to the database that holds the ledger."""
    with KINDS[request.param](ledger_url) as connection:
        yield Caller(connection, connection.commit, connection.rollback)
        getattr(connection, "remove", connection.close)()


def test_a_rollback_leaves_no_submission(caller: Caller, ledger: Ledger) -> None:
    """What the caller takes back was never there: no row, no spool, no audit line, nothing due."""
    submission, created = ledger.enqueue(new_submission(), [b"rows"], connection=caller.connection)
    caller.rollback()

    assert created
    assert submission.state is S.QUEUED
    with pytest.raises(UnknownSubmission):
        ledger.submission("s-1")
    assert list(ledger.spool("s-1")) == []
    assert ledger.audit(Record.SUBMISSION, "s-1") == []
    assert ledger.due(limit=10, resend_after_s=60) == []


def test_a_commit_brings_the_submission_and_the_sweeper_finds_it(caller: Caller, ledger: Ledger) -> None:
    """Nobody sees it before the commit; after it, it is due at once."""
    submission, _ = ledger.enqueue(new_submission(), [b"one", b"two"], connection=caller.connection)
    before = ledger.submissions()
    caller.commit()

    assert before == []
    assert ledger.submission("s-1") == submission
    assert list(ledger.spool("s-1")) == [b"one", b"two"]
    assert [due.id for due in ledger.due(limit=10, resend_after_s=60)] == ["s-1"]


def test_the_same_submission_twice_in_a_callers_transaction_is_one(caller: Caller, ledger: Ledger) -> None:
    """Repeating is safe there as well, and returns what the ledger has."""
    ledger.enqueue(new_submission(), [b"rows"])
    cancelling = ledger.request_cancel("s-1")

    again, created = ledger.enqueue(new_submission(), [b"rows"], connection=caller.connection)
    caller.commit()

    assert (again, created) == (cancelling, False)
    assert list(ledger.spool("s-1")) == [b"rows"]


def test_a_conflict_leaves_the_callers_transaction_usable(caller: Caller, ledger: Ledger) -> None:
    """The caller decides what to do about another content; its own work is not lost."""
    ledger.enqueue(new_submission())

    ledger.enqueue(new_submission("s-2"), connection=caller.connection)
    with pytest.raises(IdConflict):
        ledger.enqueue(new_submission(fingerprint="0" * 64), connection=caller.connection)
    caller.commit()

    assert {one.id for one in ledger.submissions()} == {"s-1", "s-2"}


def test_the_callers_own_rows_are_in_the_same_transaction(ledger: Ledger, ledger_url: str) -> None:
    """An order and its submission come together, or not at all."""
    engine = _engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))

    with Session(engine) as session:
        session.execute(text("INSERT INTO orders VALUES (1)"))
        ledger.enqueue(new_submission(), connection=session)
        session.rollback()
        session.execute(text("INSERT INTO orders VALUES (2)"))
        ledger.enqueue(new_submission(), connection=session)
        session.commit()
        orders = session.execute(text("SELECT id FROM orders")).scalars().all()
    engine.dispose()

    assert orders == [2]
    assert [one.id for one in ledger.submissions()] == ["s-1"]


def test_a_database_without_the_tables_is_refused(ledger: Ledger, ledger_url: str) -> None:
    """The message names the ledger's database; the caller's transaction goes on."""
    elsewhere = "sqlite:///" if ledger_url.startswith("sqlite") else ledger_url.partition("?")[0]
    with _driver(elsewhere) as connection:
        with pytest.raises(BadInput, match=r"does not hold the ledger's tables; pass a connection to \w+://"):
            ledger.enqueue(new_submission(), connection=connection)

        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_commits_by_itself_is_refused(ledger: Ledger, ledger_url: str) -> None:
    """Without a transaction the submission could be there in part; inside one it is welcome."""
    with _driver(ledger_url) as connection:
        if isinstance(connection, sqlite3.Connection):
            connection.isolation_level = None
        else:
            connection.autocommit = True
        with pytest.raises(BadInput, match="commits each statement by itself"):
            ledger.enqueue(new_submission(), connection=connection)
        connection.execute("BEGIN")
        ledger.enqueue(new_submission(), connection=connection)
        connection.execute("ROLLBACK")

    assert ledger.submissions() == []


async def test_another_kind_of_connection_is_refused(ledger: Ledger, postgres_url: str) -> None:
    """The message says what was passed and what would do."""
    asynchronous = await psycopg.AsyncConnection.connect(postgres_url)

    with pytest.raises(BadInput, match=r"builtins\.str; pass a psycopg or sqlite3 connection"):
        ledger.enqueue(new_submission(), connection="postgresql://host/db")
    with pytest.raises(BadInput, match="AsyncConnection"):
        ledger.enqueue(new_submission(), connection=asynchronous)
    await asynchronous.close()
