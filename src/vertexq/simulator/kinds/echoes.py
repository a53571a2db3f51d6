"""What output lines of several kinds of models have in common: echoes of requests, error texts. No I/O.

The texts are those that users published of failed rows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import orjson

from vertexq.simulator.importer import Shape
from vertexq.simulator.kinds.lots import Fate

_STATUS = {
    Fate.BAD: (400, "Bad Request", "Please use a valid role: user, model.", "INVALID_ARGUMENT"),
    Fate.QUOTA: (
        429,
        "RESOURCE_EXHAUSTED error occurred",
        "Online prediction request quota exceeded for {model}. Please try again later with backoff.",
        "RESOURCE_EXHAUSTED",
    ),
    Fate.SERVER_ERROR: (500, "Internal error occurred", "Internal error encountered.", "INTERNAL"),
}


def status_of(fate: Fate, model: str) -> str:
    """Return what the status of a failed row says."""
    code, lead, message, status = _STATUS[fate]
    error = {"code": code, "message": message.format(model=model), "status": status}
    written = orjson.dumps({"error": error}).decode().replace('":', '": ').replace(',"', ', "')
    return f"{lead}: {written}"


def united(value: object, shape: Shape, *, nulls: bool) -> object:
    """Return ``value`` as the import leaves it: keys in order, and null for keys that other rows have."""
    if isinstance(value, list):
        return [united(each, shape, nulls=nulls) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, object]", value)
    names = sorted({*known, *shape.below} if nulls else known)
    return {name: united(known.get(name), shape.at(name), nulls=nulls) for name in names}


def retyped(value: object, shape: Shape) -> object:
    """Return what the import makes of texts in columns in which every text is like a number."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {name: retyped(each, shape.at(name)) for name, each in fields.items()}
    if not isinstance(value, str) or not shape.like_numbers:
        return value
    return float(value) if "." in value else int(value)


def milliseconds(now: datetime) -> str:
    """Return an instant as output lines write it."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds")
