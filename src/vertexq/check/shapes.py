"""Which rows can be imported together: one type for each path of keys across a whole file. No I/O.

A fact is a path and a code: ``ARRAY`` is added for an array, the rest is the kind of what is there. A null is
no fact, an empty array has no kind. Integers and fractions are one kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vertexq.check.faults import Flaw, Rule, shown_path

UNKNOWN, RECORD, TEXT, NUMBER, BOOLEAN, ARRAY = 0, 1, 2, 3, 4, 8
GROUPS_MOST = 50
"""How many shapes a source may have; each needs batches of its own."""
PATHS_MOST = 10_000
"""BigQuery's limit of columns in a table, nested ones counted (its page on quotas)."""
_SIGNATURES = 20_000
WITNESSES = 10
"""How many rows of a group are remembered by their lines."""

_KINDS = {
    UNKNOWN: "an empty value",
    RECORD: "an object",
    TEXT: "text",
    NUMBER: "a number",
    BOOLEAN: "a boolean",
}


class Shape:
    """The facts of a part of a row. Equal parts share one object, so that it can be compared by identity."""

    __slots__ = ("facts",)

    def __init__(self, facts: Mapping[str, int]) -> None:
        self.facts = facts


class Shapes:
    """Keeps one ``Shape`` for each set of facts; forgets them all when there are too many."""

    def __init__(self) -> None:
        self._known: dict[frozenset[tuple[str, int]], Shape] = {}

    def of(self, facts: dict[str, int]) -> Shape:
        """Return the shape with these facts."""
        key = frozenset(facts.items())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _SIGNATURES:
                self._known.clear()
            found = self._known[key] = Shape(facts)
        return found


Signature = tuple[Shape, ...]


class Group:
    """Rows that can be imported together: what each path holds, and the first rows by line."""

    def __init__(self) -> None:
        self.rows = 0
        self.facts: dict[str, int] = {}
        self.spelled: dict[str, str] = {}
        self.witnesses: list[tuple[int, Signature]] = []

    def clash(self, facts: Mapping[str, int]) -> tuple[str, int, int] | None:
        """Return (path, code here, code there) of a misfit; equal codes: the name differs in its case."""
        for path, code in facts.items():
            known = self.facts.get(path)
            if known is None:
                if self.spelled.get(path.casefold(), path) != path:
                    return path, code, code
            elif known != code and not _fit(known, code):
                return path, known, code
        return None

    def merge(self, facts: Mapping[str, int]) -> None:
        """Add facts that fit."""
        for path, code in facts.items():
            known = self.facts.get(path)
            if known is None:
                self.spelled[path.casefold()] = path
            if known is None or known == ARRAY:
                self.facts[path] = code


class Groups:
    """Gives every row the first group that it fits.

    A row that did not fit a group never will, as facts only grow: the same rows in the same order always get
    the same groups.
    """

    def __init__(self) -> None:
        self.all: list[Group] = []
        self._known: dict[Signature, int] = {}

    def place(self, signature: Signature, line: int) -> int | Flaw:
        """Return the group of a row of this shape; a flaw when there are too many groups or paths."""
        number = self._known.get(signature, -1)
        if number < 0:
            placed = self._place(signature)
            if isinstance(placed, Flaw):
                return placed
            if len(self._known) >= _SIGNATURES:
                self._known.clear()
            number = self._known[signature] = placed
        self.count(number, signature, line)
        return number

    def count(self, number: int, signature: Signature, line: int) -> None:
        """Count a row of a group in which its like was placed."""
        group = self.all[number]
        group.rows += 1
        if group.rows <= WITNESSES:
            group.witnesses.append((line, signature))

    def _place(self, signature: Signature) -> int | Flaw:
        for number, group in enumerate(self.all):
            if all(group.clash(shape.facts) is None for shape in signature):
                return self._joined(number, signature)
        if len(self.all) >= GROUPS_MOST:
            text = f"the rows have more than {GROUPS_MOST} shapes that cannot be imported together"
            return Flaw(Rule.TOO_MANY_SHAPES, "", text, "give one path the same type in all rows")
        self.all.append(Group())
        return self._joined(len(self.all) - 1, signature)

    def _joined(self, number: int, signature: Signature) -> int | Flaw:
        group = self.all[number]
        fresh = sum(path not in group.facts for shape in signature for path in shape.facts)
        if len(group.facts) + fresh > PATHS_MOST:
            text = f"with this row the rows of one shape have more than {PATHS_MOST:,} paths"
            mend = "use the same names in all rows, or submit them apart"
            return Flaw(Rule.TOO_MANY_PATHS, "", text, mend)
        for shape in signature:
            group.merge(shape.facts)
        return number

    @property
    def largest(self) -> int:
        """Return the number of the group with the most rows, the first of several."""
        return max(range(len(self.all)), key=lambda number: (self.all[number].rows, -number), default=0)

    def reasons(self) -> list[str]:
        """Return, for each group, why its rows cannot be imported together with those of the largest one."""
        flaws = dict(self.outsiders())
        found = [flaws.get(group.witnesses[0][0]) for group in self.all]
        return [f"{flaw.rule} at {flaw.path}: {flaw.text}" if flaw else "" for flaw in found]

    def outsiders(self) -> Iterator[tuple[int, Flaw]]:
        """Yield (line, flaw) of the first rows outside the largest group, group after group."""
        largest = self.largest
        for number, group in enumerate(self.all):
            if number != largest:
                yield from _outsiders(group, self.all[largest])


def _outsiders(group: Group, main: Group) -> Iterator[tuple[int, Flaw]]:
    common = main.clash(group.facts)
    first = main.witnesses[0][0]
    for line, signature in group.witnesses:
        own = next(filter(None, (main.clash(shape.facts) for shape in signature)), common)
        if own is not None:
            yield line, _conflict(own, first)


def _conflict(clash: tuple[str, int, int], first: int) -> Flaw:
    path, there, here = clash
    if there == here:
        text = f"other rows (such as line {first}) write this name in another case"
    else:
        text = f"{kind(here)} here, {kind(there)} in other rows (such as line {first})"
    mend = "give it one type in all rows, or pass --split-conflicts"
    return Flaw(Rule.CONFLICT, shown_path(path), text, mend)


def kind(code: int) -> str:
    """Return what a code stands for, in words."""
    if code == ARRAY:
        return "an array"
    return f"an array of {_PLURALS[code - ARRAY]}" if code > ARRAY else _KINDS[code]


_PLURALS = {RECORD: "objects", TEXT: "texts", NUMBER: "numbers", BOOLEAN: "booleans"}


def _fit(known: int, code: int) -> bool:
    """Tell whether two different codes can stand at one path: only an empty array fits another one."""
    return (known == ARRAY and code > ARRAY) or (code == ARRAY and known > ARRAY)


def merge_fact(facts: dict[str, int], path: str, code: int) -> bool:
    """Add a fact of the same row; return False when it does not fit those that are there."""
    known = facts.get(path)
    if known is None or (known == ARRAY != code and code > ARRAY):
        facts[path] = code
        return True
    return known == code or _fit(known, code)
