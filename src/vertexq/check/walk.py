"""One decoded value against the rules of Google's import: flaws, and the facts of its paths. No I/O.

The import loads lines into a BigQuery table, with a column for every path of keys: names, depth and types
must be those of columns. The rules are those of jobs that failed ("Failed to import data", code 3;
googleapis/python-genai#2123, googleapis/python-aiplatform#4110, published notes of live runs, 2026-08) and
of BigQuery's pages on column names and nested columns.
"""

from __future__ import annotations

import re
from typing import Any, cast

from vertexq.check.faults import Flaw, Rule, shown, shown_path
from vertexq.check.shapes import ARRAY, BOOLEAN, NUMBER, RECORD, TEXT, UNKNOWN, kind, merge_fact

DEEPEST = 15
"""Objects inside objects, the one called ``request`` being the first; arrays do not count."""
FLAWS_MOST = 5
"""How many flaws of one value are looked for."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_RESERVED = re.compile(
    r"_TABLE_|_FILE_|_PARTITION|_ROW_TIMESTAMP|__ROOT__|_COLIDENTIFIER|_CHANGE_SEQUENCE_NUMBER|_CHANGE_TYPE"
    r"|_CHANGE_TIMESTAMP",
    re.IGNORECASE,
)
_INT64 = 2**63
_EMPTY_MENDS = {
    "urlContext": "there is no other way to write it: use online prediction, or leave the tool out",
    "url_context": "there is no other way to write it: use online prediction, or leave the tool out",
    "googleSearch": 'write {"excludeDomains": []}, or pass --repair',
    "google_search": 'write {"excludeDomains": []}, or pass --repair',
}


class Walk:
    """Looks at one value; ``flaws`` and ``facts`` are what it found."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self.facts: dict[str, int] = {}

    def field(self, name: str, value: object, parent: str, depth: int) -> None:
        """Look at a field of an object that is ``depth`` deep at path ``parent``."""
        path = f"{parent}\0{name}"
        if path not in self.facts and (text := _misnamed(name)):
            self.note(Rule.FIELD_NAME, path, text, "give the key another name")
        if isinstance(value, str):
            self._fact(path, TEXT)
            if "\0" in value:
                self._nul(path)
        elif isinstance(value, list):
            self._array(cast("list[Any]", value), path, depth)  # type: ignore[redundant-cast]
        elif value is not None:
            self._single(value, path, 0, depth)

    def note(self, rule: Rule, path: str, text: str, mend: str) -> None:
        """Note a flaw; those of one rule at one path are one."""
        shown_at = shown_path(path)
        if len(self.flaws) < FLAWS_MOST and not any(
            flaw.rule is rule and flaw.path == shown_at for flaw in self.flaws
        ):
            self.flaws.append(Flaw(rule, shown_at, text, mend))

    def _array(self, values: list[Any], path: str, depth: int) -> None:
        if not values:
            self._fact(path, ARRAY | UNKNOWN)
        for value in values:
            if isinstance(value, str):
                self._fact(path, ARRAY | TEXT)
                if "\0" in value:
                    self._nul(path)
            elif value is None:
                self.note(Rule.NULL_IN_ARRAY, path, "a null inside an array", "leave it out")
            elif isinstance(value, list):
                text = "an array inside an array; no column can hold it"
                self.note(Rule.NESTED_ARRAY, path, text, "put an object between the two, or write it as text")
            else:
                self._single(value, path, ARRAY, depth)

    def _single(self, value: object, path: str, array: int, depth: int) -> None:
        if isinstance(value, dict):
            self._fact(path, array | RECORD)
            self._record(cast("dict[str, Any]", value), path, depth + 1)
        elif isinstance(value, bool):
            self._fact(path, array | BOOLEAN)
        else:
            self._fact(path, array | NUMBER)
            if isinstance(value, int) and not -_INT64 <= value < _INT64:
                self.note(Rule.INTEGER_RANGE, path, "an integer outside 64 bits", "write it as text")

    def _record(self, value: dict[str, Any], path: str, depth: int) -> None:
        if not value:
            name = path.rpartition("\0")[2]
            mend = _EMPTY_MENDS.get(name, "leave it out, or give it a field")
            self.note(Rule.EMPTY_OBJECT, path, "an object without fields", mend)
        elif depth > DEEPEST:
            text = f"objects are nested at least {depth} deep, {DEEPEST} is the most"
            self.note(Rule.DEPTH, path, text, "flatten it, or write the inner part as text")
        else:
            if len(value) > 1 and len({name.casefold() for name in value}) < len(value):
                text = "two names differ by their case only; columns do not"
                self.note(Rule.REPEATED_NAME, path, text, "rename one of them")
            for name, each in value.items():
                self.field(name, each, path, depth)

    def _fact(self, path: str, code: int) -> None:
        if not merge_fact(self.facts, path, code):
            text = f"{kind(code)} beside {kind(self.facts[path])} in one row"
            self.note(Rule.MIXED_KINDS, path, text, "give the path one type")

    def _nul(self, path: str) -> None:
        self.note(Rule.TEXT, path, "a text holds a NUL character", "leave the character out")


def _misnamed(name: str) -> str:
    """Return what is wrong with a name of a column; an empty text when nothing is."""
    if not _NAME.fullmatch(name):
        return (
            f"{shown(name)!r} is no name of a column: letters, digits and _, not first a digit, 300 at most"
        )
    if _RESERVED.match(name):
        return f"{shown(name)!r} begins as BigQuery's own columns do"
    return ""
