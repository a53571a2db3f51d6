r"""JSON read strictly: what a lenient reader would change or lose without a word is refused. No I/O.

orjson is strict in most things; it keeps the last of two equal names and makes a float of an integer beyond
64 bits. Both are found by counting: the names in the text against those in the value, and digits in a row.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any, NoReturn, cast

import orjson

from vertexq.check.faults import Flaw, Rule, shown_path
from vertexq.check.values import items

_MANY_DIGITS = re.compile(rb"\d{19}")
_LOOSE_COLON = re.compile(rb'"[ \t\r\n]+:')


class Unfit(ValueError):
    """Bytes that are no JSON that can be sent; ``flaw`` says why."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.text)
        self.flaw = flaw


def loads(text: bytes) -> Any:
    """Return the value; raise ``Unfit`` when it is not strict JSON, or has a name twice in one object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unfit(_explained(text, error)) from None
    try:
        if _MANY_DIGITS.search(text) or not _surely_unique(text, value):
            _read_slowly(text)
    except RecursionError:
        raise Unfit(too_deep("")) from None
    return value


def too_deep(path: str) -> Flaw:
    """Return the flaw of a value with so many levels that they are not counted."""
    return Flaw(Rule.DEPTH, shown_path(path), "the value is nested too deep to be read", "flatten it")


def colons(text: bytes) -> int:
    """Return how many names the text has, but for those with a blank or a backslash before the colon."""
    return text.count(b'":') - text.count(b'\\":')


def _surely_unique(text: bytes, value: Any) -> bool:
    try:
        if orjson.dumps(value) == text:  # as most is written; a name that came twice would be missing
            return True
    except orjson.JSONEncodeError:  # more levels than it writes
        return False
    return not _LOOSE_COLON.search(text) and colons(text) == _names(value)


def _names(value: Any) -> int:
    inside: Iterable[Any]
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        found, inside = len(fields), fields.values()
    else:
        found, inside = 0, items(value)
    return found + sum([_names(each) for each in inside if isinstance(each, dict | list)])


def _explained(text: bytes, error: orjson.JSONDecodeError) -> Flaw:
    """Return what is wrong, with the rule that a person would look for."""
    try:
        text.decode()
        _read_slowly(text)
    except UnicodeDecodeError:
        return Flaw(Rule.ENCODING, "", "the line is not UTF-8", "convert the file (iconv does)")
    except Unfit as unfit:
        return unfit.flaw
    except RecursionError:
        return too_deep("")
    except ValueError:
        pass
    if text.startswith(BOM_UTF8):
        said, mend = "a byte order mark before the first object", "save the file as UTF-8 without BOM"
        return Flaw(Rule.NOT_JSON, "", said, mend)
    if "surrogate" in error.msg:
        return Flaw(Rule.TEXT, "", "a text holds half of a surrogate pair", "write the whole character")
    said = f"not valid JSON: {error.msg} (column {error.colno})"
    return Flaw(Rule.NOT_JSON, "", said, "write one JSON object a line")


def _read_slowly(text: bytes) -> None:
    """Raise ``Unfit`` for what only a reader that is told of every name and number can see."""
    json.loads(
        text,
        object_pairs_hook=_object,
        parse_constant=_not_finite,
        parse_float=_fraction,
        parse_int=_integer,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        text = "an object has the same key twice; which one counts is anybody's guess"
        raise Unfit(Flaw(Rule.REPEATED_NAME, "", text, "keep one of them"))
    return found


def _not_finite(_: str) -> NoReturn:
    raise Unfit(Flaw(Rule.NOT_FINITE, "", "a number is not finite", "leave it out, or write it as text"))


def _fraction(text: str) -> float:
    found = float(text)
    return found if math.isfinite(found) else _not_finite(text)


_DIGITS_MOST = 20


def _integer(text: str) -> int:
    if len(text) <= _DIGITS_MOST and -(2**63) <= (found := int(text)) < 2**63:
        return found
    raise Unfit(Flaw(Rule.INTEGER_RANGE, "", "an integer outside 64 bits", "write it as text"))
