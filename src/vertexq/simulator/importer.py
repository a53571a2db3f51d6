"""The import that comes before a batch job: what kills a whole job before its first row. No I/O.

Google loads the lines into a table with one type for each path of keys across all lines. The rules and their
texts are those users saw on failed jobs (googleapis/python-aiplatform#4110, googleapis/python-genai#2123 and
published notes of live runs, 2026-08); the texts for broken JSON, an empty file and mixed types are ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from vertexq.model import JobError

DEEPEST = 15
RESULTS = frozenset({"status", "processed_time", "response"})  # of an earlier job, when its output is resumed
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_LEAD = "Failed to import data. Please check 'Prepare input' section of the batch predictions documentation. "
_PARTS = ("request", "contents", "parts")


@dataclass(slots=True)
class Shape:
    """What one path of keys holds in all lines so far. ``repeated`` and ``record`` are None until known."""

    repeated: bool | None = None
    record: bool | None = None
    below: dict[str, Shape] = field(default_factory=dict[str, "Shape"])
    like_numbers: bool = True  # every text at this path reads as a number

    def at(self, *names: str) -> Shape:
        """Return the shape at the end of a path; an empty one when no line has it."""
        found = self
        for name in names:
            found = found.below.get(name, Shape())
        return found


class Lines:
    """The lines of a job so far: their shape, how many there are, and a digest over all of them."""

    def __init__(self) -> None:
        self.shape = Shape(record=True)
        self.rows = 0
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """A digest over all lines, in their order."""
        return self._hash.hexdigest()

    def taken(self, line: bytes) -> Mapping[str, object] | str:
        """Count a line; return it as an object, or why it is none."""
        self._hash.update(line)
        self._hash.update(b"\n")
        self.rows += 1
        try:
            value: object = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return error.msg
        return cast("dict[str, object]", value) if isinstance(value, dict) else "a row must be a JSON object"


class Importer(Lines):
    """Takes a job's lines one by one; ``shape``, ``rows`` and ``digest`` describe those taken so far.

    Every line has a field ``column``, an object or (``text``) a text. An array must be at ``parts``, when
    that is a path.
    """

    def __init__(
        self,
        *,
        check: bool = True,
        column: str = "request",
        text: bool = False,
        parts: tuple[str, ...] = _PARTS,
    ) -> None:
        super().__init__()
        self._column, self._kind, self._parts = column, str if text else dict, parts
        self._check = check

    def feed(self, line: bytes) -> JobError | None:
        """Take one line; return the error that ends the job, if this line brings it about."""
        row = self.taken(line)
        if isinstance(row, str):
            return _error(f"JSON parsing error in row {self.rows}: {row}")
        if not isinstance(row.get(self._column), self._kind):
            kind = "a text" if self._kind is str else "a JSON object"
            return _error(f"Row {self.rows} has no field {self._column} that is {kind}")
        given = {name: each for name, each in row.items() if name not in RESULTS}
        fault = self._record(given, self.shape, ())
        return _error(fault) if fault and self._check else None

    def close(self) -> JobError | None:
        """Take the end of the input; return the error that ends the job, if there is one."""
        if not self.rows:
            return _error("The input holds no rows")
        parts = self.shape.at(*self._parts)
        if not self._check or not self._parts or parts.repeated or parts.record is None:
            return None
        if parts.record:
            text = 'Syntax error: Expected end of input but got identifier "_vertex_row_id" at [17:5]'
            return JobError(code=3, message=f"Failed to import data. {text}")
        return JobError(code=13, message="System error. Please try this operation again.")

    def _record(self, value: Mapping[str, object], shape: Shape, path: tuple[str, ...]) -> str:
        if not value and path:
            return f"Cannot store struct '{'.'.join(path)}' with no fields"
        if len(path) > DEEPEST:
            return (
                f"Schema nested too deeply, at least {len(path)} compared to the maximum allowed level"
                f" of {DEEPEST}"
            )
        faults = (self._field(name, each, shape, path) for name, each in value.items())
        return _first(faults)

    def _field(self, name: str, value: object, shape: Shape, path: tuple[str, ...]) -> str:
        below = shape.below.get(name)
        if below is None:
            below = shape.below[name] = Shape()
            if not _NAME.fullmatch(name):
                return f'Invalid field name "{name}"'
        here = (*path, name)
        if value is None:
            return ""
        repeated = isinstance(value, list)
        if below.repeated is None:
            below.repeated = repeated
        elif below.repeated is not repeated:
            return f"Repeated field must be imported as a JSON array. Field: {'.'.join(here)}"
        if isinstance(value, list):
            return _first(self._element(each, below, here) for each in cast("list[object]", value))
        return self._single(value, below, here)

    def _element(self, value: object, shape: Shape, path: tuple[str, ...]) -> str:
        if value is None:
            return f"Only optional fields can be set to NULL. Field: {path[-1]}"
        return self._single(value, shape, path)

    def _single(self, value: object, shape: Shape, path: tuple[str, ...]) -> str:
        record = isinstance(value, dict)
        if shape.record is None:
            shape.record = record
        elif shape.record is not record:
            return f"JSON object and other values are mixed. Field: {'.'.join(path)}"
        if isinstance(value, dict):
            return self._record(cast("dict[str, object]", value), shape, path)
        if shape.like_numbers and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            shape.like_numbers = False
        return ""


def _first(faults: Iterable[str]) -> str:
    return next(filter(None, faults), "")


def _error(fault: str) -> JobError:
    return JobError(code=3, message=_LEAD + fault)
