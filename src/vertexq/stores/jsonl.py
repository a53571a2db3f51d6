"""Results as JSON Lines in a local directory.

``jsonl:///results`` is relative to the working directory, ``jsonl:////srv/results`` absolute.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from vertexq.errors import BadSettings, Unreachable
from vertexq.stores.parts_store import PartsStore
from vertexq.stores.shelf import FileGone, Seen, Shelf

_RECORDS = ".progress"
_UNFINISHED = ".tmp-"


class JsonlStore(PartsStore):
    """A directory on this machine's disk; the workers that write it must share that disk."""

    def __init__(self, url: str) -> None:
        path = url.removeprefix("jsonl:///")
        if path == url or not path:
            raise BadSettings(f"{url!r} names no directory; write jsonl:///results or jsonl:////srv/results")
        super().__init__(url, LocalShelf(Path(path)))


class LocalShelf(Shelf):
    """Folders below ``root``; a record is a file below ``.progress``, locked with flock while it changes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Create the directory."""
        with self._translated():
            self._root.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def address(self, folder: str, name: str = "") -> str:
        """Return the path."""
        return str(self._root / folder / name)

    def file_name(self, stem: str, *, fence: int, crc32c: str) -> str:  # noqa: ARG002
        """Return a name from the stem alone: the lock keeps stale writers away."""
        return f"{stem}.jsonl"

    def put(self, folder: str, name: str, data: bytes) -> int:
        """Write the file beside its place, sync it, rename it, sync the directory."""
        with self._translated():
            self._put(self._root / folder, name, data)
        return 0

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Write the file in the same way."""
        self.put(folder, name, data)

    def read(self, folder: str, name: str, *, generation: int) -> bytes:  # noqa: ARG002
        """Read the file."""
        with self._translated():
            try:
                return (self._root / folder / name).read_bytes()
            except FileNotFoundError as error:
                raise FileGone(f"{self.address(folder, name)} is not there any more") from error

    def names(self, folder: str) -> list[str]:
        """Return the files' names."""
        place = self._root / folder
        with self._translated():
            files = [entry.name for entry in place.iterdir() if entry.is_file()] if place.is_dir() else []
        return [name for name in files if not name.startswith(_UNFINISHED)]

    def remove(self, folder: str, name: str) -> None:
        """Remove the file."""
        with self._translated():
            (self._root / folder / name).unlink(missing_ok=True)

    def remove_unfinished(self, folder: str) -> None:
        """Remove what writers that died left half written."""
        with self._translated():
            for path in (self._root / folder).rglob(f"{_UNFINISHED}*"):
                path.unlink(missing_ok=True)

    def records(self, folder: str) -> Iterator[bytes]:
        """Read one record after the other."""
        place = self._root / folder / _RECORDS
        with self._translated():
            for path in sorted(place.glob("[0-9a-f]*.json")):  # not the unfinished ones
                yield path.read_bytes()

    @contextmanager
    def hold(self, folder: str, record: str) -> Generator[None]:
        """Lock the record against other processes and threads until the block ends."""
        place = self._root / folder / _RECORDS
        with self._translated():
            if not place.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                _sync_directory(place.parent)
                _sync_directory(self._root)
            lock = os.open(place / f"{record}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def seen(self, folder: str, record: str) -> Seen:
        """Read the record; the lock stands in for its version."""
        with self._translated():
            try:
                return Seen((self._root / folder / _RECORDS / f"{record}.json").read_bytes(), 0)
            except FileNotFoundError:
                return Seen(None, 0)

    def swap(self, folder: str, record: str, data: bytes, *, version: int) -> bool:  # noqa: ARG002
        """Replace the record; call it inside ``hold``."""
        with self._translated():
            self._put(self._root / folder / _RECORDS, f"{record}.json", data)
        return True

    def _put(self, place: Path, name: str, data: bytes) -> None:
        unfinished = place / f"{_UNFINISHED}{name}"
        place.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(place / name)
        _sync_directory(place)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise Unreachable(
                f"cannot use the directory {self._root}: {error.strerror}; check rights and free space"
            ) from error


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
