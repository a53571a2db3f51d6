"""Texts that the import has made numbers of: the one form that a text and its echo have in common. No I/O.

When every text of a column looks like a number, Google's import may take the column as one of numbers:
``"007"`` comes back as 7 (notes of live runs, 2026-08). No text can be read back from that, so both sides
are written in one form and compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?")
_EXACT = 2**63


def retyped(request: object) -> object:
    """Return a request with one form for all texts and numbers that are the same number; None without any."""
    if not isinstance(request, Mapping):
        return None
    fields = cast("Mapping[str, Any]", request)
    numbers = {name: found for name, value in fields.items() if (found := _number(value))}
    return {**fields, **numbers} if numbers else None


def _number(value: object) -> str:
    """Return the number that a value is, or that a text looks like; empty for every other one."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return _written(Decimal(repr(value)))
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return ""
    exact = Decimal(value)
    kept = abs(exact) < _EXACT if "." not in value else Decimal(repr(float(value))) == exact
    return _written(exact) if kept else ""  # what a number would not keep is not compared


def _written(number: Decimal) -> str:
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
