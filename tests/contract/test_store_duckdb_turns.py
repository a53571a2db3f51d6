"""Who may open a DuckDB file, for how long, and what nobody may do in it."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from vertexq.errors import StoreRefused, Unreachable
from vertexq.stores import open_store
from vertexq.stores.duckdb_file import DuckFile
from vertexq.testing.store_rows import SUBMISSION, chunk, row

_HOLD = """
import sys, duckdb
db = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
db.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file with the store's tables in it."""
    with open_store(f"duckdb:///{tmp_path}/r.duckdb"):
        return tmp_path / "r.duckdb"


def _holder(path: Path) -> subprocess.Popen[bytes]:
    """Start a program that is not ours and has the file open until its input ends."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    return child


def test_a_chunk_waits_for_another_program(path: Path) -> None:
    """A notebook that has the file open holds writers up; nothing is lost."""

    def write() -> list[str]:
        with open_store(f"duckdb:///{path}") as store:
            store.write(chunk(row("a")), fence=1)
            return [result.key for result in store.results(SUBMISSION)]

    with _holder(path) as holder, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        with pytest.raises(TimeoutError):
            writing.result(timeout=0.3)
        holder.communicate()

        assert writing.result(timeout=30) == ["a"]


def test_a_program_that_does_not_let_go_is_said_so(path: Path) -> None:
    """After a bounded wait, with what to do."""
    with _holder(path) as holder:
        with (
            pytest.raises(Unreachable, match="close the program"),
            DuckFile(path, wait_s=0.2).connection(),
        ):
            pass
        holder.communicate()


def test_a_worker_that_waits_is_let_in_before_the_file_is_idle(path: Path) -> None:
    """One that keeps the file open between chunks lets go when another one waits."""
    first, second = DuckFile(path, idle_s=60), DuckFile(path, wait_s=10)
    with first.connection():
        pass

    with second.connection() as db:
        assert db.execute("SELECT count(*) FROM vertexq_results").fetchone() == (0,)
    second.close()


def test_an_idle_file_is_closed(path: Path) -> None:
    """So that other programs may open it while a worker waits for more."""
    file = DuckFile(path, idle_s=0.05)
    with file.connection():
        pass

    ends_at = time.monotonic() + 10
    while file.is_open and time.monotonic() < ends_at:
        time.sleep(0.01)
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM vertexq_results").fetchone() == (0,)


def test_no_statement_reaches_another_file(path: Path) -> None:
    """Whatever somebody put into the file, a view for example."""
    file = DuckFile(path)
    with pytest.raises(duckdb.PermissionException), file.connection() as db:
        db.execute("SELECT * FROM read_csv('/etc/hosts')")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """And stays as it was."""
    path = tmp_path / "notes.duckdb"
    path.write_bytes(b"not a database, but long enough to look at" * 1000)

    with pytest.raises((StoreRefused, Unreachable), match=r"notes\.duckdb"), open_store(f"duckdb:///{path}"):
        pass

    assert path.read_bytes().startswith(b"not a database")


def test_a_directory_that_cannot_be_made_is_unreachable(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unreachable, match=r"r\.duckdb"), open_store(f"duckdb:///{tmp_path}/file/r.duckdb"):
        pass


def test_a_file_that_is_no_duckdb_file_is_not_waited_for(tmp_path: Path) -> None:
    """It will be none later, either: the submission is parked, instead of waiting as for a full disk."""
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 1_000)
    with pytest.raises(StoreRefused, match="is no DuckDB file"), open_store(f"duckdb:///{file}"):
        pass
