"""The import of kinds whose lines go into no table first: each line is an object of the right form. No I/O.

Nobody has published what such a job says of a bad line; the words are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import cast

import orjson

from vertexq.model import JobError
from vertexq.simulator.importer import Shape

Row = Mapping[str, object]


class LineImporter:
    """Takes a job's lines one by one; ``fault`` says what is wrong with one ("" when nothing is)."""

    def __init__(self, fault: Callable[[Row], str], *, check: bool = True) -> None:
        self.shape = Shape(record=True)
        self.rows = 0
        self._fault = fault
        self._check = check
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """A digest over all lines, in their order."""
        return self._hash.hexdigest()

    def feed(self, line: bytes) -> JobError | None:
        """Take one line; return the error that ends the job, if this line brings it about."""
        self._hash.update(line)
        self._hash.update(b"\n")
        self.rows += 1
        try:
            value: object = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return self._error(error.msg)
        if not isinstance(value, dict):
            return self._error("a row must be a JSON object")
        fault = self._fault(cast("Row", value)) if self._check else ""
        return self._error(fault) if fault else None

    def close(self) -> JobError | None:
        """Take the end of the input; return the error that ends the job, if there is one."""
        return (
            None if self.rows else JobError(code=3, message="Failed to import data. The input holds no rows")
        )

    def _error(self, fault: str) -> JobError:
        return JobError(code=3, message=f"Failed to import data. Row {self.rows}: {fault}")
