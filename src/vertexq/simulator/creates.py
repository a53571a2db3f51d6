"""The oracle: every create the simulator accepted, written down before it is answered."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCreate:
    """One job that would be paid for. ``body_digest`` is the SHA-256 of the body, in hex."""

    name: str
    display_name: str
    labels: dict[str, str]
    model: str
    time: datetime
    body_digest: str


class Journal:
    """Accepted creates, also in a file that survives a crash when there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.accepted: list[AcceptedCreate] = []
        if path is not None and path.exists():
            self.accepted += _read(path)

    def append(self, create: AcceptedCreate) -> None:
        """Write down a create; when this returns it is on the disk."""
        self.accepted.append(create)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(create_json(create) + b"\n")
                file.flush()
                os.fsync(file.fileno())


def _read(path: Path) -> list[AcceptedCreate]:
    """Return the creates in a file; a line that was torn by a crash had no answer, and is cut off."""
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        os.truncate(path, len(whole) + 1 if whole else 0)
    return [msgspec.json.decode(line, type=AcceptedCreate) for line in whole.split(b"\n") if line]


def create_json(create: AcceptedCreate) -> bytes:
    """Return the create as one line of JSON."""
    return orjson.dumps(msgspec.to_builtins(create))
