"""The files of a file store in a local directory, which belongs to one machine."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from vertexq.errors import BadSettings, Unreachable
from vertexq.stores.base import without_secrets
from vertexq.stores.locking import lock_file, patiently, try_lock
from vertexq.stores.shelf import FileGone, Seen, Shelf

WAIT_S = 60.0
"""How long one waits for another writer of a range; a chunk takes well under a second."""
_RECORDS = ".progress"
_UNFINISHED = ".tmp-"
_BLOCK_BYTES = 1 << 20


class LocalShelf(Shelf):
    """Folders below ``root``; a record is a file below ``.progress``, locked with flock while it changes."""

    def __init__(self, root: Path, *, wait_s: float = WAIT_S) -> None:
        self._root = root
        self._wait_s = wait_s

    def prepare(self) -> None:
        """Create the directory."""
        with self._translated():
            self._root.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def address(self, folder: str, name: str = "") -> str:
        """Return the path."""
        return str(self._root / folder / name)

    def file_name(self, stem: str, ending: str, *, fence: int, crc32c: str) -> str:  # noqa: ARG002
        """Return a name from the stem alone: the lock keeps stale writers away."""
        return f"{stem}{ending}"

    def put(self, folder: str, name: str, data: BinaryIO) -> int:
        """Write the file beside its place, sync it, rename it, sync the directory."""
        with self._translated():
            self._put(self._root / folder, name, data)
        return 0

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Write the file in the same way."""
        self.put(folder, name, BytesIO(data))

    @contextmanager
    def open(self, folder: str, name: str, *, generation: int) -> Generator[BinaryIO]:  # noqa: ARG002
        """Open the file; it may be removed meanwhile."""
        with self._translated():
            try:
                file = (self._root / folder / name).open("rb")
            except FileNotFoundError as error:
                raise FileGone(f"{self.address(folder, name)} is not there any more") from error
        with self._translated(), file:
            yield file

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
            lock = lock_file(place / f"{record}.lock")
        try:
            if not patiently(lambda: try_lock(lock) or None, wait_s=self._wait_s):
                raise Unreachable(
                    f"{place / record} was locked for {self._wait_s:g} s by another worker; end the one that "
                    "hangs"
                )
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
            self._put(self._root / folder / _RECORDS, f"{record}.json", BytesIO(data))
        return True

    def _put(self, place: Path, name: str, data: BinaryIO) -> None:
        unfinished = place / f"{_UNFINISHED}{uuid.uuid4().hex}"
        place.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            shutil.copyfileobj(data, file, _BLOCK_BYTES)
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


def directory_in(url: str, scheme: str) -> Path:
    """Return the directory that ``url`` names; raise ``BadSettings`` when it names none."""
    path = url.removeprefix(f"{scheme}:///")
    if path == url or not path or "?" in path:
        raise BadSettings(
            f"the store's URL {without_secrets(url)} names no directory, or a ?setting is not known; "
            f"write {scheme}:///results or {scheme}:////srv/results"
        )
    return Path(path)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
