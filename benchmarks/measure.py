"""How the benchmarks measure: CPU or wall seconds, ours and the peer's in turn, the median of the ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of output. ``ratio`` is ours to the peer's in the sense of "times as good"."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    aim: str

    def to_json(self) -> dict[str, object]:
        """Return the object that is printed."""
        return {
            "name": self.name,
            "ours": round(self.ours, 3),
            "peer": round(self.peer, 3),
            "ratio": round(self.ratio, 3),
            "unit": self.unit,
            "aim": self.aim,
        }


def race(
    name: str,
    *,
    ours: Callable[[], object],
    peer: Callable[[], object],
    rows: int,
    aim: str,
    clock: Callable[[], float] = time.process_time,
    rounds: int = ROUNDS,
) -> Measured:
    """Run both in turn and compare the rates; each takes ``rows`` rows. The first round warms up.

    A run that returns a float has timed itself, in seconds: what it set up before does not count.
    """
    pairs = [(_seconds(ours, clock), _seconds(peer, clock)) for _ in range(rounds + 1)][1:]
    return Measured(
        name=name,
        ours=rows / statistics.median(mine for mine, _ in pairs),
        peer=rows / statistics.median(theirs for _, theirs in pairs),
        ratio=statistics.median(theirs / mine for mine, theirs in pairs),
        unit="rows/s",
        aim=aim,
    )


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    started = clock()
    own = work()
    return own if isinstance(own, float) else clock() - started
