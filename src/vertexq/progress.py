"""Show how a submission gets on: a live line on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from vertexq.plain import duration, one_line, shortened
from vertexq.status import Pace, Status

REASON_CHARS = 120
"""How much of the reason why nothing moves is shown beside the numbers."""
ANSWERING = 0.9
"""The part of the bar that stands for Google's answers; the rest is for landing them in the store."""
WIDE_COLUMNS = 100
"""A terminal of so many columns has room for a bar beside the numbers."""


class ProgressBar:
    """Pass it as ``on_progress`` to ``Client.wait``; it prints to ``file`` (standard output).

    Away from a terminal it prints a line when the state changes, and while something moves one a second at
    first, one a minute after half an hour. As a context manager it gives the terminal back whatever happens.
    ``clock`` is in seconds.
    """

    def __init__(
        self,
        *,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = Console(file=file or sys.stdout, highlight=False, markup=False)
        self._clock = clock
        self._answered = Pace()
        self._landed = Pace()
        self._live: Progress | None = None
        self._task = TaskID(0)
        self._printed: str = ""
        self._printed_state: str = ""
        self._printed_at_s = 0.0
        self._started_at_s: float | None = None

    def __call__(self, status: Status) -> None:
        """Show this look at the submission."""
        now_s = self._clock()
        self._answered.look(now_s, status.answered_rows)
        self._landed.look(now_s, status.landed_rows)
        if self._console.is_terminal:
            self._draw(status)
        else:
            self._print(status, now_s)

    def close(self) -> None:
        """Leave the last line standing and give the terminal back. Safe to repeat."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self.close()

    def _text(self, status: Status) -> str:
        return describe(status, answered=self._answered, landed=self._landed)

    def _draw(self, status: Status) -> None:
        if self._live is None:
            self._live = _live(self._console)
            self._live.start()
            self._task = self._live.add_task("")
        self._live.update(
            self._task,
            total=status.sent_rows or None,
            completed=ANSWERING * status.answered_rows + (1 - ANSWERING) * status.landed_rows,
            description=self._text(status),
            refresh=True,
        )
        if status.resting:
            self.close()

    def _print(self, status: Status, now_s: float) -> None:
        text = self._text(status)
        changed = status.state != self._printed_state
        if self._started_at_s is None:
            self._started_at_s = now_s
        due = now_s - self._printed_at_s >= line_wait_s(now_s - self._started_at_s)
        if changed or (due and text != self._printed):
            self._console.print(text, soft_wrap=True)
            self._console.file.flush()
            self._printed, self._printed_state, self._printed_at_s = text, status.state.value, now_s


def line_wait_s(age_s: float) -> float:
    """Return how long to print nothing while rows move: a thirtieth of the age, from a second to a minute."""
    return min(max(age_s / 30, 1.0), 60.0)


def describe(status: Status, *, answered: Pace, landed: Pace) -> str:
    """Say in one line how a submission stands, how fast it goes and when it may be done."""
    parts = [f"{status.state.value:<10}"]
    if status.sent_rows:
        parts.append(
            f"{status.landed_rows:,} of {status.sent_rows:,} rows landed, {status.answered_rows:,} answered"
        )
    if status.resting:
        return _end(parts, status)
    if status.reason:
        parts.append(shortened(one_line(status.reason), limit=REASON_CHARS))
    pace = landed.rows_per_s() or answered.rows_per_s()
    if pace:
        parts.append(f"{pace:,.0f} rows/s" if pace >= 1 else f"{pace * 60:,.1f} rows/min")
    left_s = remaining_s(status, answered=answered, landed=landed)
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    return "  ".join(parts)


def remaining_s(status: Status, *, answered: Pace, landed: Pace) -> float | None:
    """Return how long the slower of answering and landing will take, in seconds, if it is known."""
    waits = (
        answered.remaining_s(status.sent_rows - status.answered_rows),
        landed.remaining_s(status.sent_rows - status.landed_rows),
    )
    known = [wait_s for wait_s in waits if wait_s]
    return max(known) if known else None


def _end(parts: list[str], status: Status) -> str:
    if status.finished_at is not None:
        parts.append(f"after {duration((status.finished_at - status.created_at).total_seconds())}")
    if status.reason:
        parts.append(one_line(status.reason))
    return "  ".join(parts)


def _live(console: Console) -> Progress:
    """Return a live line; a narrow terminal has room for the numbers only."""
    bar = (BarColumn(bar_width=16), TextColumn("{task.percentage:>3.0f} %", markup=False))
    return Progress(
        SpinnerColumn(finished_text=" "),
        *(bar if console.width >= WIDE_COLUMNS else ()),
        TextColumn("{task.description}", markup=False),
        console=console,
        refresh_per_second=4,
    )
