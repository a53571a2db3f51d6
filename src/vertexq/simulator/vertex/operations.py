"""Long-running operations of the simulated Vertex AI: deletes that take a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A delete: its resource name, when it began, when it is done."""

    name: str
    began: datetime
    done_at: datetime
    job_name: str


class Operations:
    """Deletes under way and done. A job is gone when somebody asks for anything after its delete is due."""

    def __init__(self) -> None:
        self._all: dict[str, Operation] = {}
        self._due: list[Operation] = []

    def begin(self, parent: str, job_name: str, *, takes_s: float) -> Operation:
        """Begin to delete a job of ``parent``, ``projects/N/locations/L``."""
        digest = hashlib.blake2b(f"{job_name} {len(self._all)}".encode(), digest_size=8).digest()
        number = 10**18 + int.from_bytes(digest) % (8 * 10**18)
        began = datetime.now(UTC)
        done_at = began + timedelta(seconds=takes_s)
        name = f"{parent}/operations/{number}"
        begun = self._all[name] = Operation(name=name, began=began, done_at=done_at, job_name=job_name)
        self._due.append(begun)
        return begun

    def settle(self, drop: Callable[[str], None]) -> None:
        """Call ``drop`` with the name of each job whose delete is due now."""
        now = datetime.now(UTC)
        for due in [operation for operation in self._due if operation.done_at <= now]:
            self._due.remove(due)
            drop(due.job_name)

    def get(self, name: str) -> tuple[Operation, bool] | None:
        """Return an operation and whether it is done."""
        found = self._all.get(name)
        return (found, found not in self._due) if found else None
