"""The import of kinds whose lines go into no table first: each line is an object of the right form. No I/O.

Nobody has published what such a job says of a bad line; the words are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vertexq.model import JobError
from vertexq.simulator.importer import Lines

Row = Mapping[str, object]


class LineImporter(Lines):
    """Takes a job's lines one by one; ``fault`` says what is wrong with one ("" when nothing is)."""

    def __init__(self, fault: Callable[[Row], str], *, check: bool = True) -> None:
        super().__init__()
        self._fault = fault
        self._check = check

    def feed(self, line: bytes) -> JobError | None:
        """Take one line; return the error that ends the job, if this line brings it about."""
        row = self.taken(line)
        if isinstance(row, str):
            return self._error(row)
        fault = self._fault(row) if self._check else ""
        return self._error(fault) if fault else None

    def close(self) -> JobError | None:
        """Take the end of the input; return the error that ends the job, if there is one."""
        return (
            None if self.rows else JobError(code=3, message="Failed to import data. The input holds no rows")
        )

    def _error(self, fault: str) -> JobError:
        return JobError(code=3, message=f"Failed to import data. Row {self.rows}: {fault}")
