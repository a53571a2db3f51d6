"""A borrowed connection is given back as it was: no half submission, no lock, no commit of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.orm import Session

from tests.contract.ledger_values import held, new_submission, running, staging
from vertexq.errors import BadInput, IdConflict
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.model import Batch
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S

Lent = sqlite3.Connection | psycopg.Connection[tuple[object, ...]] | Connection | Session


@pytest.fixture(params=["driver", "sqlalchemy", "session"])
def lent(request: pytest.FixtureRequest, ledger: Ledger, ledger_url: str) -> Iterator[Lent]:
    """Open a caller's connection to the ledger's database."""
    if request.param == "driver":
        with closing(_driver(ledger_url)) as driver:
            yield driver
    else:
        engine = create_engine(ledger_url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as connection, Session(connection) as session:
            yield connection if request.param == "sqlalchemy" else session
        engine.dispose()


def _driver(url: str) -> sqlite3.Connection | psycopg.Connection[tuple[object, ...]]:
    return sqlite3.connect(_file(url)) if url.startswith("sqlite") else psycopg.connect(url)


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _breaking() -> Iterator[bytes]:
    yield b"one"
    raise OSError("the disk is gone")


def test_a_spool_that_breaks_off_leaves_no_half_submission(lent: Lent, ledger: Ledger) -> None:
    """The caller catches the error and commits: what came before is there, the submission is not."""
    ledger.enqueue(new_submission("s-0"), [b"rows"], connection=lent)
    with pytest.raises(OSError, match="the disk is gone"):
        ledger.enqueue(new_submission(), _breaking(), connection=lent)
    lent.commit()

    assert [one.id for one in ledger.submissions()] == ["s-0"]
    assert list(ledger.spool("s-1")) == []
    assert ledger.audit(Record.SUBMISSION, "s-1") == []


def test_what_breaks_off_first_leaves_the_ledger_free(lent: Lent, ledger: Ledger) -> None:
    """A caller that wrote nothing and forgets to roll back does not hold up the workers."""
    ledger.enqueue(new_submission())
    with pytest.raises(IdConflict):
        ledger.enqueue(new_submission(fingerprint="0" * 64), connection=lent)
    with pytest.raises(OSError, match="the disk is gone"):
        ledger.enqueue(new_submission("s-2"), _breaking(), connection=lent)

    ledger.enqueue(new_submission("s-3"))

    assert {one.id for one in ledger.submissions()} == {"s-1", "s-3"}


def test_a_parked_submission_goes_on_when_the_caller_commits(lent: Lent, ledger: Ledger) -> None:
    """Its refused batches are ready again in the same transaction, and only then."""
    (batch,) = running(ledger)
    claim = held(ledger, Record.BATCH, batch.id)
    sent = ledger.start_sending(batch, claim=claim, output_prefix="gs://b/o", bounds=Bounds(jobs=1))
    assert isinstance(sent, Batch)
    ledger.move_batch(sent, B.REFUSED, claim=claim, reason="no permission")
    ledger.move_submission(ledger.submission("s-1"), S.PARKED, reason="no permission")

    ledger.enqueue(new_submission(), connection=lent)
    lent.rollback()
    assert ledger.submission("s-1").state is S.PARKED
    assert ledger.batch(batch.id).state is B.REFUSED

    submission, created = ledger.enqueue(new_submission(), connection=lent)
    lent.commit()
    assert (submission.state, created) == (S.RUNNING, False)
    assert ledger.submission("s-1") == submission
    assert ledger.batch(batch.id).state is B.READY


def test_a_savepoint_of_the_caller_takes_a_submission_with_it(ledger: Ledger, ledger_url: str) -> None:
    """Going back to before the submission leaves what was done earlier."""
    engine = create_engine(ledger_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        ledger.enqueue(new_submission("s-1"), connection=connection)
        connection.execute(text("SAVEPOINT mine"))
        ledger.enqueue(new_submission("s-2"), connection=connection)
        connection.execute(text("ROLLBACK TO SAVEPOINT mine"))
        connection.commit()
    engine.dispose()

    assert [one.id for one in ledger.submissions()] == ["s-1"]


def test_the_callers_rows_look_as_before(ledger: Ledger, ledger_url: str) -> None:
    """The kind of rows a connection gives is the caller's choice, and stays it."""
    lender = _driver(ledger_url)
    if isinstance(lender, sqlite3.Connection):
        lender.row_factory = lambda cursor, row: {cursor.description[0][0]: row[0]}
    else:
        setattr(lender, "row_factory", dict_row)  # noqa: B010  (its type says that rows are tuples)

    ledger.enqueue(new_submission(), connection=lender)

    assert lender.execute("SELECT id FROM vertexq_submissions").fetchone() == {"id": "s-1"}
    lender.rollback()
    lender.close()


def test_the_ledgers_of_another_kind_of_database_are_not_mixed_up(
    ledger: Ledger, sqlite_ledger_url: str, postgres_ledger_url: str, ledger_url: str
) -> None:
    """A connection to SQLite does not do for a ledger on PostgreSQL, nor the other way round."""
    other = postgres_ledger_url if ledger_url == sqlite_ledger_url else sqlite_ledger_url
    Ledger.open(other).close()
    engine = create_engine(other.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection, pytest.raises(BadInput, match="does not hold the ledger's tables"):
        ledger.enqueue(new_submission(), connection=connection)
    engine.dispose()


def test_a_worker_does_not_wait_for_a_caller_who_has_not_committed(postgres_ledger_url: str) -> None:
    """On PostgreSQL other submissions go on; the one in the open transaction is not there yet."""
    ledger = Ledger.open(postgres_ledger_url)
    with psycopg.connect(postgres_ledger_url) as connection:
        ledger.enqueue(new_submission("s-open"), [b"rows"], connection=connection)

        staging(ledger, "s-2")
        assert ledger.due(limit=10, resend_after_s=60) == []
        assert ledger.claim(Record.SUBMISSION, "s-open", owner="w", lease_s=60) is None
    assert [due.id for due in ledger.due(limit=10, resend_after_s=60)] == ["s-open"]
    ledger.close()
