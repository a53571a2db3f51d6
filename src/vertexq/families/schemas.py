"""Answers held against the schema that their request asked for, with jsonschema-rs. No I/O.

Nothing is fetched, whatever a schema refers to, and patterns take linear time: a schema comes from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from vertexq.errors import BadSettings
from vertexq.families.gemini_schema import json_schema

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MISMATCH: Final = "schema_mismatch"
"""The answer is JSON, and not what the schema says."""
UNUSABLE: Final = "unusable_schema"
"""The schema itself cannot be compiled, so nothing was held against it."""

_KEPT = 128
"""How many compiled schemas are kept; rows of one batch nearly always share one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value is not what was asked for. ``message`` names places of the schema, nothing of the value."""

    reason: str
    message: str


class Schemas:
    """Compiles each distinct schema once and keeps the last of them."""

    def __init__(self) -> None:
        try:
            import jsonschema_rs  # noqa: PLC0415  (an extra, and only for those who validate)
        except ImportError:
            raise BadSettings(
                "answers are to be held against their schema (validate), and jsonschema-rs is not installed "
                "here; install it where the workers run: pip install 'vertexq[schema]'"
            ) from None
        self._library = jsonschema_rs
        self._options = jsonschema_rs.RegexOptions()
        self._compiled: dict[tuple[bytes, bool], _Schema | None] = {}

    def __len__(self) -> int:
        """Return how many compiled schemas are kept."""
        return len(self._compiled)

    def fault(self, value: object, schema: bytes, *, googles: bool) -> Fault | None:
        """Hold ``value`` against a schema, JSON text in Google's form or JSON Schema's; None when it fits."""
        compiled = self._find(schema, googles=googles)
        if compiled is None:
            return Fault(UNUSABLE, "the answer was not checked: its response schema cannot be compiled")
        return compiled.fault(value)

    def _find(self, schema: bytes, *, googles: bool) -> _Schema | None:
        key = (schema, googles)
        if key not in self._compiled:
            if len(self._compiled) >= _KEPT:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = self._compile(schema, googles=googles)
        return self._compiled[key]

    def _compile(self, schema: bytes, *, googles: bool) -> _Schema | None:
        try:
            meant = json_schema(orjson.loads(schema), googles=googles)
            text = orjson.dumps(meant).decode()  # a text, because the library takes True for a number
            found = self._library.validator_for(text, pattern_options=self._options, offline=True)
        except (ValueError, TypeError, RecursionError):  # a ValidationError is a ValueError
            return None
        return _Schema(found, frozenset(_properties(meant)))


@dataclass(frozen=True, slots=True)
class _Schema:
    validator: Validator
    properties: frozenset[str]

    def fault(self, value: object) -> Fault | None:
        try:
            error = next(iter(self.validator.iter_errors(value)), None)
        except (ValueError, RecursionError):
            return Fault(MISMATCH, "the answer is nested too deeply to be held against its response schema")
        if error is None:
            return None
        return Fault(MISMATCH, f"the answer breaks its response schema at {self._place(error)}")

    def _place(self, error: ValidationError) -> str:
        """Return where, as a JSON pointer, and the rule; names that only the answer holds become ``*``."""
        steps = (
            str(step) if isinstance(step, int) or step in self.properties else "*"
            for step in error.instance_path
        )
        return f"/{'/'.join(steps)} ({error.kind.name})"


def _properties(schema: object) -> set[str]:
    """Return every property's name that a schema holds."""
    found: set[str] = set()
    waiting: list[object] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            fields = cast("dict[str, Any]", one)
            known = fields.get("properties")
            found.update(cast("dict[str, Any]", known) if isinstance(known, dict) else ())
            waiting.extend(fields.values())
        elif isinstance(one, list):
            waiting.extend(cast("list[object]", one))
    return found
