"""The progress bar: what it says, and when it says it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vertexq.model import Counts, Usage
from vertexq.progress import ProgressBar, describe, line_wait_s
from vertexq.states import SubmissionState
from vertexq.status import Pace, Status

START = datetime(2026, 11, 21, 12, tzinfo=UTC)

RUNNING = Status(
    id="s-1",
    state=SubmissionState.RUNNING,
    model="gemini-2.5-flash",
    store="results",
    reason="",
    sent_rows=2_000,
    answered_rows=1_000,
    landed_rows=500,
    counts=Counts(succeeded=500),
    quarantined_lines=0,
    usage=Usage(),
    cost_usd=0.0,
    batches=1,
    batches_by_state={"bound": 1},
    job_states={"JOB_STATE_RUNNING": 1},
    created_at=START,
    finished_at=None,
)
DONE = replace(
    RUNNING,
    state=SubmissionState.DONE,
    answered_rows=2_000,
    landed_rows=2_000,
    finished_at=START + timedelta(seconds=75),
)


def paces(*looks: tuple[float, int, int]) -> tuple[Pace, Pace]:
    """Return the paces of answered and landed rows after looks of (second, answered, landed)."""
    answered, landed = Pace(), Pace()
    for at_s, answered_rows, landed_rows in looks:
        answered.look(at_s, answered_rows)
        landed.look(at_s, landed_rows)
    return answered, landed


def seconds(*at_s: float) -> Iterator[float]:
    """Return a clock's readings."""
    return iter(at_s)


def test_a_running_submission_is_described_with_rows_pace_and_time_to_go() -> None:
    """1,000 more rows answered at 100 a second and 1,500 landed at 50: the slower says when it ends."""
    answered, landed = paces((0, 0, 0), (10, 1_000, 500))

    said = describe(RUNNING, answered=answered, landed=landed)

    assert said == ("running     500 of 2,000 rows landed, 1,000 answered  50 rows/s  30 s left")


def test_before_anything_lands_the_pace_is_that_of_the_answers() -> None:
    """Google's counters move before the first row is in the store."""
    answered, landed = paces((0, 0, 0), (10, 1_000, 0))

    said = describe(replace(RUNNING, landed_rows=0), answered=answered, landed=landed)

    assert "100 rows/s  10 s left" in said


def test_without_a_pace_no_time_is_promised() -> None:
    """One look says nothing about speed."""
    answered, landed = paces((0, 1_000, 500))

    said = describe(RUNNING, answered=answered, landed=landed)

    assert said == "running     500 of 2,000 rows landed, 1,000 answered"


def test_a_slow_pace_is_given_by_the_minute() -> None:
    """Half a row a second would be rounded to nothing."""
    answered, landed = paces((0, 999, 495), (10, 1_000, 500))

    assert "30.0 rows/min" in describe(RUNNING, answered=answered, landed=landed)


def test_an_ended_submission_says_how_long_it_took() -> None:
    """No pace and no time to go once it is over."""
    answered, landed = paces((0, 0, 0), (10, 2_000, 2_000))

    said = describe(DONE, answered=answered, landed=landed)

    assert said == "done        2,000 of 2,000 rows landed, 2,000 answered  after 75 s"


def test_a_parked_submission_says_why_and_cannot_write_to_the_terminal() -> None:
    """A reason may quote Google; what a terminal would obey is shown as an escape."""
    parked = replace(RUNNING, state=SubmissionState.PARKED, sent_rows=0, reason="no\x1b[2J permission")

    said = describe(parked, answered=Pace(), landed=Pace())

    assert said == r"parked      no\x1b[2J permission"


def test_away_from_a_terminal_there_is_one_line_a_change_of_state() -> None:
    """Looks that change nothing, or come too soon after the last line, print nothing."""
    out = io.StringIO()
    clock = seconds(0, 0.3, 0.6, 0.9)

    with ProgressBar(file=out, clock=lambda: next(clock)) as bar:
        for status in (RUNNING, RUNNING, replace(RUNNING, landed_rows=600), DONE):
            bar(status)

    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["running", "done"]


def test_away_from_a_terminal_progress_is_printed_every_so_often() -> None:
    """A line for the state, a line after a second in which rows landed."""
    out = io.StringIO()
    clock = seconds(0, 1)

    with ProgressBar(file=out, clock=lambda: next(clock)) as bar:
        for status in (RUNNING, replace(RUNNING, landed_rows=600)):
            bar(status)

    assert out.getvalue().splitlines()[1].startswith("running     600 of 2,000 rows landed")


def test_away_from_a_terminal_a_standstill_is_silent() -> None:
    """A log does not fill up while a job waits in Google's queue."""
    out = io.StringIO()
    clock = seconds(0, 600, 1_200)

    with ProgressBar(file=out, clock=lambda: next(clock)) as bar:
        for _ in range(3):
            bar(RUNNING)

    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize(("age_s", "wait_s"), [(0, 1), (30, 1), (300, 10), (1_800, 60), (86_400, 60)])
def test_lines_become_rarer_with_time(age_s: float, wait_s: float) -> None:
    """A job of a day leaves some thousand lines, one of a minute shows how it goes."""
    assert line_wait_s(age_s) == wait_s


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal that can draw."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    return Terminal()


def test_on_a_terminal_one_line_is_drawn_again_and_again(terminal: Terminal) -> None:
    """The bar is live: it moves the cursor, hides it while it draws and gives it back at the end."""
    with ProgressBar(file=terminal) as bar:
        bar(RUNNING)
        bar(DONE)

    drawn = terminal.getvalue()
    assert "500 of 2,000 rows landed" in drawn
    assert "2,000 of 2,000 rows landed" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_on_a_terminal_an_interrupted_wait_gives_the_cursor_back(terminal: Terminal) -> None:
    """Leaving the block early stops the drawing."""
    with ProgressBar(file=terminal) as bar:
        bar(RUNNING)

    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_narrow_terminal_has_room_for_the_numbers_only(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eighty columns show rows, pace and time to go without the bar."""
    monkeypatch.setenv("COLUMNS", "80")
    clock = seconds(0, 10)

    with ProgressBar(file=terminal, clock=lambda: next(clock)) as bar:
        bar(replace(RUNNING, answered_rows=0, landed_rows=0))
        bar(RUNNING)

    assert "500 of 2,000 rows landed, 1,000 answered  50 rows/s  30 s left" in terminal.getvalue()
    assert "%" not in terminal.getvalue()


def test_before_the_rows_are_counted_the_bar_promises_nothing(terminal: Terminal) -> None:
    """A gs:// source has no number of rows until it is staged."""
    with ProgressBar(file=terminal) as bar:
        bar(replace(RUNNING, state=SubmissionState.QUEUED, sent_rows=0, answered_rows=0, landed_rows=0))

    assert "queued" in terminal.getvalue()
    assert "rows landed" not in terminal.getvalue()
