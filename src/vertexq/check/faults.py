"""What can be wrong with a row: rules with stable names, and faults that say how to mend them. No I/O.

A fault never quotes a value of the row: only names of keys, kinds and numbers of bytes or levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from vertexq.plain import one_line, shortened

SHOWN_NAME = 60
"""How many characters of a key's name are shown."""
_SHOWN_NAMES = 20


class Rule(StrEnum):
    """What a row or a file must keep to; ``docs/checking.md`` says why. Names, once given, stay."""

    ENCODING = "encoding"  # the bytes are UTF-8
    NOT_JSON = "not_json"  # a line is one JSON value
    NOT_OBJECT = "not_object"  # that value is an object
    JSON_ARRAY = "json_array"  # a file is JSON Lines, not one array
    LINE_SIZE = "line_size"  # a line is below the limit of bytes
    REQUEST = "request"  # a row holds a request of the family
    KEY = "key"  # a row's key is a short printable text or an integer
    DUPLICATE_KEY = "duplicate_key"  # every row has a key of its own
    REPEATED_NAME = "repeated_name"  # an object has each name once, also when case is ignored
    FIELD_NAME = "field_name"  # names fit BigQuery's column names
    DEPTH = "depth"  # objects are nested 15 deep at most
    EMPTY_OBJECT = "empty_object"  # every object has a field
    NULL_IN_ARRAY = "null_in_array"  # arrays hold no null
    NESTED_ARRAY = "nested_array"  # arrays hold no arrays
    MIXED_KINDS = "mixed_kinds"  # one path has one type in a row
    NOT_FINITE = "not_finite"  # numbers are finite
    INTEGER_RANGE = "integer_range"  # integers fit 64 bits
    TEXT = "text"  # texts hold no NUL and no half of a surrogate pair
    PARTS = "parts"  # parts is an array of objects
    ROLE = "role"  # roles are user, model and function
    ANSWERED = "answered"  # a row has no answer yet
    UNSUPPORTED = "unsupported"  # a batch job takes the field
    CONFLICT = "conflict"  # one path has one type in all rows of a file
    TOO_MANY_SHAPES = "too_many_shapes"  # rows fall into a bounded number of shapes
    TOO_MANY_PATHS = "too_many_paths"  # a file has a bounded number of paths


class Flaw(NamedTuple):
    """A fault before one knows its line. ``path`` is that of the keys in the staged line."""

    rule: Rule
    path: str
    text: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One reason why one row cannot be sent. ``line`` counts from 1; ``path`` may be empty."""

    line: int
    rule: Rule
    path: str = ""
    text: str
    mend: str

    def __str__(self) -> str:
        """Return one line for a person."""
        where = f"{self.path}: " if self.path else ""
        return f"line {self.line}: {where}{self.text} ({self.rule}); {self.mend}"

    def to_json(self) -> dict[str, object]:
        """Return what scripts get."""
        return {
            "line": self.line,
            "path": self.path,
            "rule": self.rule.value,
            "text": self.text,
            "mend": self.mend,
        }


def fault_of(flaw: Flaw, line: int) -> Fault:
    """Return the fault that a flaw is in its line."""
    return Fault(line=line, rule=flaw.rule, path=flaw.path, text=flaw.text, mend=flaw.mend)


def shown(name: str) -> str:
    """Return a key's name as it may be printed."""
    return shortened(one_line(name), limit=SHOWN_NAME)


def shown_path(path: str) -> str:
    """Return a path of keys as it may be printed; a deep one is cut in its middle."""
    names = [shown(name) for name in path.split("\0")]
    if len(names) > _SHOWN_NAMES:
        names = [*names[: _SHOWN_NAMES // 2], "…", *names[-_SHOWN_NAMES // 2 :]]
    return ".".join(names)
