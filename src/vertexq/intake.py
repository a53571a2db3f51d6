"""What a producer passes in, one row after the other, into rows that can be staged. No I/O.

Fed with lines or values; every fault is noted with its line, and ``close`` raises with all of them, so that
nothing is sent of a source that is not whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from vertexq.errors import BadSource
from vertexq.families.base import Family, NoRequest
from vertexq.keys import KEY_LIMIT_BYTES, fingerprint
from vertexq.lines import Block, Oversized
from vertexq.model import GcsUri

SHOWN_FAULTS = 10
"""How many faults an error lists; the rest are counted."""


class Prepared(NamedTuple):
    """A row ready to be staged: the producer's key, the request's fingerprint and JSON, where it came from.

    ``line`` counts from 1.
    """

    key: str
    fingerprint: bytes
    request: bytes
    line: int


class Intake:
    """Checks the rows of one source. ``name`` is what errors call the source."""

    def __init__(self, family: Family, *, name: str, key_field: str = "key") -> None:
        self.family = family
        self.name = name
        self.rows = 0
        self.key_field = key_field
        self.fault_count = 0
        self.faults: list[str] = []  # the first of them, with their lines
        self._lines = 0

    def block(self, item: Block | Oversized) -> list[Prepared]:
        """Take the lines of a JSON Lines source; blank lines are passed over."""
        if isinstance(item, Oversized):
            self._lines += 1
            self._fault(f"the line has {item.size_bytes:,} bytes, more than the limit")
            return []
        return [row for line in item.lines if (row := self._line(line)) is not None]

    def row(self, value: object) -> Prepared | None:
        """Take one row as a value: a text or an object; None when it has a fault."""
        self._lines += 1
        if not isinstance(value, str | Mapping):
            self._fault(f"a row is a text or a mapping, this is {type(value).__name__}")
            return None
        try:
            return self._prepare(value)  # pyright: ignore[reportUnknownArgumentType]
        except (NoRequest, TypeError, ValueError) as error:
            self._fault(str(error))
            return None

    def close(self) -> None:
        """Raise ``BadSource`` when a row had a fault or there was no row at all."""
        if self.fault_count:
            raise BadSource(self._report())
        if not self.rows:
            raise BadSource(f"{self.name} holds no rows; nothing was sent. Pass at least one request.")

    def _line(self, line: bytes) -> Prepared | None:
        self._lines += 1
        if not line or line == b"\r":
            return None
        if self._lines == 1 and line.lstrip().startswith(b"["):
            self._fault("this is a JSON array, not JSON Lines: write one object a line (jq -c '.[]')")
            return None
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self._fault(f"not valid JSON: {error.msg} (column {error.colno})")
            return None
        if isinstance(value, dict):
            self._lines -= 1
            return self.row(value)  # pyright: ignore[reportUnknownArgumentType]
        self._fault("a line must be a JSON object")
        return None

    def _prepare(self, value: str | Mapping[str, Any]) -> Prepared:
        request = self.family.request(value)
        text = orjson.dumps(request)
        key = self._key(value)
        self.rows += 1
        return Prepared(key, fingerprint(request), text, self._lines)

    def _key(self, value: str | Mapping[str, Any]) -> str:
        key = None if isinstance(value, str) else value.get(self.key_field)
        if key is None:
            return str(self.rows)
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise NoRequest(f"the key in {self.key_field!r} must be a text or an integer")
        text = str(key)
        if not text or len(text.encode()) > KEY_LIMIT_BYTES or not text.isprintable():
            raise NoRequest(
                f"the key in {self.key_field!r} must have 1 to {KEY_LIMIT_BYTES} bytes, all of them printable"
            )
        return text

    def _fault(self, text: str) -> None:
        """Note a fault of the line at hand."""
        self.fault_count += 1
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(f"line {self._lines}: {text}")

    def duplicate(self, line: int, earlier: int) -> None:
        """Note that the row of ``line`` has the key of an ``earlier`` one."""
        self.fault_count += 1
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(f"line {line}: the same key as line {earlier}; every row needs its own")

    def _report(self) -> str:
        more = self.fault_count - len(self.faults)
        tail = [f"and {more:,} more"] if more else []
        faulty = f"{self.fault_count:,} of {self._lines:,} rows cannot be enqueued"
        head = f"{self.name}: {faulty}; nothing was sent."
        return "\n  ".join([head, *self.faults, *tail])


def check_object(uri: str) -> None:
    """Raise ``BadSource`` unless ``uri`` names one object in Cloud Storage."""
    try:
        parsed = GcsUri.parse(uri)
    except ValueError as error:
        raise BadSource(f"{error}; nothing was sent") from None
    if not parsed.name or parsed.name.endswith("/"):
        raise BadSource(f"{uri} names no object; pass the whole name, gs://bucket/path/file.jsonl")
