"""A DuckDB file that several processes use in turn, since DuckDB lets one process in at a time.

Whoever works with the file holds a lock file, keeps the file open between pieces of work, and lets go when
somebody waits or when nothing came for a moment. Opening and closing cost more than a chunk's rows do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from vertexq.errors import Unreachable, VertexqError
from vertexq.stores.locking import lock_file, patiently, pause_s, try_lock

_T = TypeVar("_T")

WAIT_S = 60.0
"""How long one waits for the file; a chunk takes well under a second."""
IDLE_S = 0.2
"""How long the file stays open when nobody uses it."""
MEMORY = "256MB"

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,  # no statement reaches another file, whatever stands in it
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": MEMORY,  # more is spilled to a folder beside the file
    "threads": 1,  # a worker has one core
    "preserve_insertion_order": False,
}


class DuckFile:
    """The file at ``path``, opened when it is needed. Used by one thread at a time."""

    def __init__(self, path: Path, *, wait_s: float = WAIT_S, idle_s: float = IDLE_S) -> None:
        self._path = path
        self._wait_s = wait_s
        self._idle_s = idle_s
        self._turn = _Turn(path, wait_s)
        self._mutex = threading.RLock()  # the timer that closes an idle file is a thread of its own
        self._db: duckdb.DuckDBPyConnection | None = None
        self._opened = 0
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether this process keeps others out at the moment."""
        return self._db is not None

    @contextmanager
    def connection(self) -> Generator[duckdb.DuckDBPyConnection]:
        """Keep the file open until the block ends; raise ``Unreachable`` when it cannot be had in time."""
        with self._mutex:
            db = self._db or self._open()
            try:
                yield db
            except VertexqError:
                raise
            except BaseException:
                self.close()  # after a failed commit DuckDB refuses everything else
                raise
            if self._turn.somebody_waits():
                self.close()
            else:
                self._used_at = time.monotonic()

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Generator[duckdb.DuckDBPyConnection]:
        """Commit what the block does, or nothing of it; without ``keep`` it is only a try."""
        with self.connection() as db:
            db.execute("BEGIN")
            try:
                yield db
                db.execute("COMMIT" if keep else "ROLLBACK")
            except BaseException:
                with suppress(duckdb.Error):  # a failed statement may have ended it already
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Write everything into the file itself and let others in. Safe to repeat."""
        with self._mutex:
            db, self._db = self._db, None
            try:
                if db is not None:
                    db.close()
            finally:
                self._turn.end()

    def _open(self) -> duckdb.DuckDBPyConnection:
        self._turn.begin()
        try:
            self._db = _patiently(self._connect, self._path, self._wait_s)
        except BaseException:
            self._turn.end()
            raise
        self._used_at = time.monotonic()
        self._opened += 1
        threading.Thread(target=self._close_when_idle, args=(self._opened,), daemon=True).start()
        return self._db

    def _connect(self) -> duckdb.DuckDBPyConnection | None:
        try:
            db = duckdb.connect(str(self._path), config=_CONFIG)
        except duckdb.IOException as error:
            if "lock" in str(error).lower():
                return None  # a program that is not ours has it open
            raise
        db.execute("SET TimeZone = 'UTC'")
        return db

    def _close_when_idle(self, opened: int) -> None:
        while True:
            with self._mutex:
                left_s = self._used_at + self._idle_s - time.monotonic()
                if self._db is None or self._opened != opened:
                    return
                if left_s <= 0 or self._turn.somebody_waits():
                    with suppress(duckdb.Error):  # what is committed is safe; the next to open sees the fault
                        self.close()
                    return
            time.sleep(min(left_s, pause_s()))


class _Turn:
    """Who may open the file: the holder of ``FILE.lock``; ``FILE.turn`` is held by the next in line."""

    def __init__(self, path: Path, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._lock: int | None = None

    def begin(self) -> None:
        turn = self._take("turn")
        try:
            self._lock = self._take("lock")
        finally:
            os.close(turn)

    def end(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def somebody_waits(self) -> bool:
        turn = self._file("turn")
        try:
            return not try_lock(turn)
        finally:
            os.close(turn)

    def _take(self, name: str) -> int:
        file = self._file(name)
        try:
            _patiently(lambda: try_lock(file) or None, self._path, self._wait_s)
        except BaseException:
            os.close(file)
            raise
        return file

    def _file(self, name: str) -> int:
        return lock_file(f"{self._path}.{name}")


def _patiently(attempt: Callable[[], _T | None], path: Path, wait_s: float) -> _T:
    found = patiently(attempt, wait_s=wait_s)
    if found is None:
        raise Unreachable(
            f"{path} was in use for {wait_s:g} s; DuckDB lets one process in at a time: close the "
            "program that has it open, or use another store for many workers"
        )
    return found
