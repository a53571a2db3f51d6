"""What a check found: counts, the first offenders, what was mended, and how rows divide. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vertexq.check.faults import Fault, Rule

SHOWN_FAULTS = 10
"""How many faults a report lists; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one pass over a source found. ``rows`` counts all that are not blank, good or bad.

    ``groups`` are the numbers of rows of each shape, by the groups' numbers; ``aside`` is how many rows are
    set aside, ``faulty`` how many have a fault.
    """

    rows: int = 0
    faulty: int = 0
    faults: tuple[Fault, ...] = ()
    rules: Mapping[Rule, int] = field(default_factory=dict[Rule, int])
    repairs: Mapping[str, int] = field(default_factory=dict[str, int])
    groups: tuple[int, ...] = ()
    aside: int = 0

    def to_json(self) -> dict[str, object]:
        """Return what scripts get."""
        return {
            "rows": self.rows,
            "faulty": self.faulty,
            "rules": {rule.value: count for rule, count in self.rules.items()},
            "faults": [fault.to_json() for fault in self.faults],
            "repairs": dict(self.repairs),
            "groups": list(self.groups),
            "aside": self.aside,
        }

    def lines(self) -> list[str]:
        """Return the first offenders and the counts, a line each, for a person."""
        found = [str(fault) for fault in self.faults]
        if more := sum(self.rules.values()) - len(self.faults):
            found.append(f"and {more:,} more")
        if len(self.rules) > 1:
            found.append(f"in all: {_counted(self.rules)}")
        if self.repairs:
            found.append(f"mended: {_counted(self.repairs)}")
        if len(self.groups) > 1:
            sizes = ", ".join(f"{size:,}" for size in self.groups)
            found.append(f"rows of one shape: {sizes}; every shape needs batches of its own")
        if self.aside:
            found.append(f"set aside: {self.aside:,}")
        return found


class Tally:
    """Faults and repairs while they are counted. At most ``SHOWN_FAULTS`` faults are kept whole."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.rules: Counter[Rule] = Counter()
        self.repairs: Counter[str] = Counter()
        self.faulty = 0

    def row(self, faults: list[Fault]) -> None:
        """Note the faults of one row."""
        self.faulty += 1
        for fault in faults:
            self.rules[fault.rule] += 1
            if len(self.faults) < SHOWN_FAULTS:
                self.faults.append(fault)


def _counted(counts: Mapping[Rule, int] | Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
