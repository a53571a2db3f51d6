"""Repairs of a Gemini request that change nothing in its meaning. No I/O."""

from __future__ import annotations

from typing import Any


def mend(name: str, value: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the field's value without its harmless defects, and the kinds of what was done."""
    del name
    return value, ()
