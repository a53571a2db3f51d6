"""What becomes of each row of a simulated job: decided by the seed, the behaviour and the row. No I/O."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vertexq.simulator.behaviour import Behaviour


class Fate(StrEnum):
    """What becomes of a row."""

    ANSWERED = "answered"
    BLOCKED = "blocked"
    SAFETY = "safety"
    CUT = "cut"
    BAD = "bad"
    QUOTA = "quota"
    SERVER_ERROR = "server error"
    MISSING = "missing"
    UNWRITTEN = "unwritten"


FAILING = frozenset({Fate.BAD, Fate.QUOTA, Fate.SERVER_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow:
    """One row's output: no line when it is missing or not written, two when it is repeated.

    ``ok`` is as the job counts it; ``apart`` says that the lines belong into the job's file of errors.
    """

    lines: tuple[bytes, ...]
    fate: Fate
    apart: bool = False

    @property
    def ok(self) -> bool:
        """Say whether the job counts the row as successful."""
        return self.fate not in {*FAILING, Fate.MISSING}


class Lots:
    """Draws for the rows of one job; ``salt`` names the input as a whole.

    Errors that pass and missing rows depend on the whole input, everything else on the row alone. Only kinds
    of models that filter answers have rows that are blocked or cut.
    """

    def __init__(self, *, seed: int, behaviour: Behaviour, salt: str, filters: bool = True) -> None:
        self.behaviour = behaviour
        self._seed = seed
        self._salt = salt
        self._lasting = {Fate.BAD: behaviour.bad_rows}
        if filters:
            self._lasting |= {
                Fate.BLOCKED: behaviour.blocked_rows,
                Fate.SAFETY: behaviour.safety_rows,
                Fate.CUT: behaviour.cut_rows,
            }
        self._passing = {
            Fate.QUOTA: behaviour.quota_rows,
            Fate.SERVER_ERROR: behaviour.server_error_rows,
            Fate.MISSING: behaviour.missing_rows,
            Fate.UNWRITTEN: behaviour.unwritten_rows,
        }

    def fate(self, line: bytes, *, place: int = 0) -> Fate:
        """Return what becomes of the row of an input line.

        With its ``place`` in the input, errors that pass tell rows apart whose lines are the same.
        """
        at = line + b"#%d" % place if place else line
        return (
            _drawn(self.number("passing" + self._salt, at), self._passing)
            or _drawn(self.number("lasting", line), self._lasting)
            or Fate.ANSWERED
        )

    def dice(self, what: str, content: bytes) -> random.Random:
        """Return dice that the seed, the purpose and the content decide."""
        return random.Random(int.from_bytes(self._digest(what, content)))

    def number(self, what: str, content: bytes) -> float:
        """Return a number from [0, 1) that the seed, the purpose and the content decide."""
        return int.from_bytes(self._digest(what, content)) / 2**64

    def written(self, line: bytes, output: bytes) -> tuple[bytes, ...]:
        """Return an output line (with its end) as it is written: perhaps cut in half, perhaps twice."""
        if self.dice("corrupt", line).random() < self.behaviour.corrupt_rows:
            output = output[: len(output) // 2] + b"\n"
        copies = 2 if self.number("repeat", line) < self.behaviour.repeated_rows else 1
        return (output,) * copies

    def _digest(self, what: str, content: bytes) -> bytes:
        key = hashlib.blake2b(f"{self._seed} {what}".encode(), digest_size=16).digest()
        return hashlib.blake2b(content, digest_size=8, key=key).digest()


def _drawn(number: float, shares: Mapping[Fate, float]) -> Fate | None:
    """Return whose turn it is when ``number`` is drawn from [0, 1) and each fate has its share of it."""
    for fate, share in shares.items():
        if number < share:
            return fate
        number -= share
    return None
