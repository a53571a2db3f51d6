"""Parts of decoded JSON with a type that checkers know. No I/O."""

from __future__ import annotations

from typing import Any, cast


def items(value: object) -> list[Any]:
    """Return what an array holds; nothing for any other value."""
    return cast("list[Any]", value) if isinstance(value, list) else []  # type: ignore[redundant-cast]


def objects(value: object) -> list[dict[str, Any]]:
    """Return the object that a value is, or the objects that an array holds."""
    values = items(value) or [value]
    return [cast("dict[str, Any]", each) for each in values if isinstance(each, dict)]
