"""When to try again and when to look again, as worked series."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertexq.retry import Backoff, asked_s, look_wait_s, poll_wait_s, spread

ALL = 1.0 - 2**-53
"""The largest luck there is."""


def test_waits_double_up_to_the_longest() -> None:
    """2, 4, 8, ... 256, then 300 for ever, with the best of luck half of it."""
    waits = [Backoff().wait_s(attempt, luck=ALL) for attempt in range(1, 12)]

    assert [round(wait) for wait in waits] == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert Backoff().wait_s(3, luck=0.0) == 4.0


def test_a_thousandth_attempt_still_has_a_wait() -> None:
    """The doubling must not overflow."""
    assert Backoff().wait_s(1_000, luck=0.0) == 150.0


@pytest.mark.parametrize(("asked_s", "wait_s"), [(None, 2.0), (1.0, 2.0), (60.0, 60.0), (0.0, 2.0)])
def test_a_server_that_asks_for_more_time_gets_it(asked_s: float | None, wait_s: float) -> None:
    """``Retry-After`` is a lower bound, never a reason to come earlier."""
    assert Backoff(first_s=4.0).wait_s(1, luck=0.0, asked_s=asked_s) == wait_s


@pytest.mark.parametrize("asked_s", [3_601.0, 31_536_000.0, 1e300])
def test_a_server_that_asks_for_a_year_gets_an_hour(asked_s: float) -> None:
    """One odd answer must not put a batch off for ever."""
    assert Backoff().wait_s(1, luck=0.0, asked_s=asked_s) == 3_600.0


@pytest.mark.parametrize(("luck", "wait_s"), [(0.0, 5.0), (0.5, 7.5), (ALL, 10.0)])
def test_waits_are_spread_over_their_upper_half(luck: float, wait_s: float) -> None:
    """Many waiters do not wake as one, and none comes at once."""
    assert spread(10.0, luck=luck) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("age_s", "wait_s"), [(0, 30), (299, 30), (3_600, 360), (6_000, 600), (86_400, 600), (-5, 30)]
)
def test_a_job_is_looked_at_after_a_tenth_of_its_age(age_s: float, wait_s: float) -> None:
    """Between 30 s and 10 minutes; a clock that ran backwards does no harm."""
    assert poll_wait_s(age_s, first_s=30, longest_s=600, luck=ALL) == pytest.approx(wait_s)


def test_looks_are_close_at_first_and_two_seconds_apart_later() -> None:
    """A fifth of the quiet time: a producer that has waited for a minute asks 30 times a minute."""
    waits = [look_wait_s(quiet_s) for quiet_s in (0.0, 0.5, 1.0, 5.0, 60.0)]

    assert waits == [0.1, 0.1, 0.2, 1.0, 2.0]
    assert look_wait_s(60.0, longest_s=0.5) == 0.5


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(said: str | None, seconds: float | None) -> None:
    """Anything else is as if it were not there."""
    assert asked_s(said, datetime(2026, 11, 21, 10, tzinfo=UTC)) == seconds
