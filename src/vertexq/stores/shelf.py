"""What a file store needs of the place its files are in: a local disk, Cloud Storage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from vertexq.errors import StoreRefused


class FileGone(StoreRefused):
    """The file was there and has been replaced by another one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record's bytes, None when there is none yet, and the version ``Shelf.swap`` is to compare with."""

    data: bytes | None
    version: int


class Shelf(ABC):
    """Folders with files and records. A file is written whole or not at all and is durable once written."""

    @abstractmethod
    def prepare(self) -> None:
        """Create what is missing; raise ``Unreachable`` when the place cannot be reached."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    @abstractmethod
    def address(self, folder: str, name: str = "") -> str:
        """Say where a file is, for a person."""

    @abstractmethod
    def file_name(self, stem: str, ending: str, *, fence: int, crc32c: str) -> str:
        """Return a file's name: one that no stale writer can use for other bytes."""

    @abstractmethod
    def put(self, folder: str, name: str, data: BinaryIO) -> int:
        """Write a file that keeps its bytes for ever; return its generation.

        ``data`` is read from where it stands to its end, a piece at a time.
        """

    @abstractmethod
    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Write a file over what is there."""

    @abstractmethod
    def open(self, folder: str, name: str, *, generation: int) -> AbstractContextManager[BinaryIO]:
        """Open a file to read anywhere in it; raise ``FileGone`` when it is not there any more."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, records left out."""

    @abstractmethod
    def remove(self, folder: str, name: str) -> None:
        """Remove a file; quiet when it is gone."""

    def remove_unfinished(self, folder: str) -> None:  # noqa: B027  (there is none where writes are atomic)
        """Remove what writers that died left half written."""

    @abstractmethod
    def records(self, folder: str) -> Iterator[bytes]:
        """Stream the folder's records, ordered by name."""

    @abstractmethod
    def hold(self, folder: str, record: str) -> AbstractContextManager[None]:
        """Keep other writers away from a record, where the place can; ``swap`` is safe without it."""

    @abstractmethod
    def seen(self, folder: str, record: str) -> Seen:
        """Read a record."""

    @abstractmethod
    def swap(self, folder: str, record: str, data: bytes, *, version: int) -> bool:
        """Replace a record if it still has ``version``; False when somebody else was first."""
