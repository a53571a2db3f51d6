"""Opening a ledger: tables are made once, also in a race, and every fault says what to do."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import traceback
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import NoReturn

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tests.contract.ledger_values import S, new_submission
from tests.contract.racing import at_once
from vertexq.errors import BadSettings, Unreachable
from vertexq.ledger import Ledger
from vertexq.ledger.engine import open_engine
from vertexq.ledger.migrate import HEAD, VERSION_TABLE, configuration
from vertexq.ledger.schema import metadata


def test_the_migrations_build_the_tables_of_the_schema(ledger: Ledger, ledger_url: str) -> None:
    """Alembic finds no difference between what it made and what the queries are written for."""
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        difference = compare_metadata(context, metadata)
        tables = set(inspect(connection).get_table_names())
    engine.dispose()

    assert difference == []
    assert tables == {*metadata.tables, VERSION_TABLE}
    assert ScriptDirectory.from_config(configuration()).get_heads() == [HEAD]


def test_processes_that_open_an_empty_ledger_at_once_all_succeed(ledger_url: str, processes: Pool) -> None:
    """One of them makes the tables, the others find them."""
    opened = processes.map(_open, [(ledger_url, number) for number in range(4)], chunksize=1)

    assert opened == [True] * 4
    ledger = Ledger.open(ledger_url, migrate=False)
    assert len(ledger.submissions()) == 4
    ledger.close()


def _open(given: tuple[str, int]) -> bool:
    url, number = given
    ledger = Ledger.open(url)
    _, created = ledger.enqueue(new_submission(f"s-{number}"))
    ledger.close()
    return created


def test_threads_that_open_a_fresh_file_at_once_all_succeed(tmp_path: Path) -> None:
    """Switching a file to its write-ahead log is a race of its own."""
    for turn in range(5):
        folder = tmp_path / str(turn)
        opened = at_once(8, partial(_open_in, folder))
        assert opened == [True] * 8


def _open_in(folder: Path, number: int) -> bool:
    return _open((f"sqlite:///{folder}/ledger.db", number))


def test_a_ledger_of_the_same_version_is_opened_without_changes(ledger: Ledger, ledger_url: str) -> None:
    """What was enqueued is there after the next opening."""
    ledger.enqueue(new_submission())

    again = Ledger.open(ledger_url)

    assert again.submission("s-1") == ledger.submission("s-1")
    again.close()


def test_opening_without_migration_makes_no_tables(ledger_url: str) -> None:
    """A look at an empty database leaves it empty and says what to do."""
    with pytest.raises(BadSettings, match=f"has no tables, this vertexq needs revision {HEAD}"):
        Ledger.open(ledger_url, migrate=False)

    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("migrate", [True, False])
def test_a_ledger_of_a_newer_vertexq_is_left_alone(ledger: Ledger, ledger_url: str, *, migrate: bool) -> None:
    """The message names the revision that is not known."""
    engine = open_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(BadSettings, match="has revision 9999"):
        Ledger.open(ledger_url, migrate=migrate)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ledger.db", "cannot be read; use sqlite:///ledger.db"),
        ("mysql://root:secret@host/db", "begins with mysql://"),
        ("postgresql+psycopg2://root:secret@host/db", "begins with postgresql\\+psycopg2://"),
        ("postgresql://u:secret@P/W@127.0.0.1:1/d", "percent-encode the special characters"),
        ("postgresql://u:secret@127.0.0.1:1/d?foo=secret", "postgresql does not know: foo;"),
        ("sqlite:///ledger.db?foo=secret", "sqlite does not know: foo;"),
        ("sqlite://", "in memory would forget"),
        ("sqlite:///:memory:", "in memory would forget"),
    ],
)
def test_a_url_of_another_kind_is_refused(url: str, says: str) -> None:
    """The message says which URLs do, and shows no password."""
    with pytest.raises(BadSettings, match=says) as refused:
        Ledger.open(url)

    assert "secret" not in str(refused.value)


def test_a_server_that_is_not_there_is_said_to_be_unreachable() -> None:
    """The message holds the address and never the password, nor does the trail behind it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://user:hunter2@127.0.0.1:{taken.getsockname()[1]}/vertexq"
        with pytest.raises(Unreachable, match=r"user:\*\*\*@127\.0\.0\.1") as refused:
            Ledger.open(url)

    assert "check the ledger's URL" in str(refused.value)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_a_wrong_password_is_said_to_be_wrong(postgres_url: str) -> None:
    """PostgreSQL's own words are kept; the password is not."""
    user, _, rest = postgres_url.partition("@")
    wrong = f"{user.rpartition(':')[0]}:hunter2@{rest}"

    with pytest.raises(Unreachable, match="password authentication failed") as refused:
        Ledger.open(wrong)

    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    """Somebody's text file is not overwritten."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, " * 100)

    with pytest.raises(Unreachable, match=r"file is not a database.*name another file"):
        Ledger.open(f"sqlite:///{file}")

    assert file.read_text() == "not a database, " * 100


def test_a_folder_in_the_place_of_the_file_is_said_so(tmp_path: Path) -> None:
    """Nothing has to be running, and the message does not say so."""
    with pytest.raises(Unreachable, match="names a file, not a folder") as refused:
        Ledger.open(f"sqlite:///{tmp_path}")

    assert "running" not in str(refused.value)


def test_a_folder_made_for_a_ledger_is_private(tmp_path: Path) -> None:
    """The ledger holds prompts; a folder that was there keeps its rights."""
    tmp_path.chmod(0o755)
    for folder in (tmp_path, tmp_path / "made" / "here"):
        Ledger.open(f"sqlite:///{folder}/ledger.db").close()

    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700, 0o700]


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(Unreachable, match=r"folder .*taken of the ledger cannot be made"):
        Ledger.open(f"sqlite:///{tmp_path}/taken/ledger.db")


def test_a_connection_that_was_cut_is_replaced(postgres_ledger_url: str) -> None:
    """A server that was restarted in between costs nobody an error."""
    ledger, other = Ledger.open(postgres_ledger_url), Ledger.open(postgres_ledger_url)
    with ledger._reading() as connection:  # pyright: ignore[reportPrivateUsage]
        idle = connection.scalar(text("SELECT pg_backend_pid()"))
    with other._writing() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": idle})

    _, created = ledger.enqueue(new_submission())

    assert created
    ledger.close()
    other.close()


def test_sqlite_survives_a_power_cut_and_many_readers(sqlite_ledger_url: str) -> None:
    """The file has a write-ahead log, every commit is flushed, and foreign keys hold."""
    ledger = Ledger.open(sqlite_ledger_url)
    with ledger._reading() as connection:  # pyright: ignore[reportPrivateUsage]
        said = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PRAGMAS}
    ledger.close()

    assert said == _PRAGMAS


_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_reader_is_not_held_up_by_a_writer(sqlite_ledger_url: str) -> None:
    """Somebody writes for a long time; reading goes on, and shows what was committed."""
    ledger = Ledger.open(sqlite_ledger_url)
    writer = sqlite3.connect(sqlite_ledger_url.removeprefix("sqlite:///"))
    writer.execute("INSERT INTO vertexq_beats VALUES ('never committed', '2030-01-01T00:00:00.000000Z')")

    assert ledger.last_beats() == {}
    writer.close()
    ledger.close()


def test_a_ledger_goes_on_in_both_processes_after_a_fork(
    ledger: Ledger, ledger_url: str, processes: Pool
) -> None:
    """Parent and child each have connections of their own."""
    assert processes.apply_async(_fork, [ledger_url]).get(timeout=60) == 0

    assert ledger.submission("s-1").state is S.CANCELLING
    assert {one.id for one in ledger.submissions(states=[S.QUEUED])} == {"s-2", "s-3"}


def _fork(url: str) -> int:
    """Use one ledger on both sides of a fork, in a process without threads; return how the child ended."""
    ledger = Ledger.open(url)
    ledger.enqueue(new_submission())
    child = os.fork()
    if child == 0:
        _cancel_and_leave(ledger)
    ledger.enqueue(new_submission("s-2"))
    _, status = os.waitpid(child, 0)
    ledger.enqueue(new_submission("s-3"))
    ledger.close()
    return os.waitstatus_to_exitcode(status)


def _cancel_and_leave(ledger: Ledger) -> NoReturn:
    """Never come back: the child must not go on as a second copy of its parent."""
    signal.alarm(30)  # ends a child that waits for ever on its parent's connection
    code = 1
    try:
        code = int(ledger.request_cancel("s-1").state is not S.CANCELLING)
    finally:
        os._exit(code)
