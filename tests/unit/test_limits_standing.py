"""What people are told of a limit is what its state says."""

from __future__ import annotations

import pytest

from vertexq.limits.gate import Gate
from vertexq.limits.standing import Breaker, standing_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
NOW = 28_000_000 * MINUTE + 15 * SECOND
"""A quarter of a minute into its window."""
NAME = "projects/example.com:p/locations/global/read"


@pytest.mark.parametrize(
    ("window", "calls_last_minute"), [(28_000_000, 20 + 30), (27_999_999, 15), (27_999_998, 0)]
)
def test_calls_of_the_last_minute_are_told_from_two_windows(window: int, calls_last_minute: int) -> None:
    """Those of the window before count by as much of it as is not a minute ago."""
    gate = Gate(limit=60 * SECOND, window=window, calls=20, calls_before=40)

    standing = standing_of(NAME, gate, NOW)

    assert standing is not None
    assert standing.calls_last_minute == calls_last_minute
    assert (standing.project, standing.location, standing.call) == ("example.com:p", "global", "read")


@pytest.mark.parametrize(
    ("gate", "breaker", "waits_s"),
    [
        (Gate(), Breaker.CLOSED, 0.0),
        (Gate(open_until=NOW + 9 * SECOND), Breaker.OPEN, 9.0),
        (Gate(open_until=NOW - SECOND), Breaker.HALF_OPEN, 0.0),
        (Gate(blocked_until=NOW + 4 * SECOND, open_until=NOW + SECOND), Breaker.OPEN, 4.0),
    ],
)
def test_a_breaker_and_a_block_say_how_long_nobody_calls(
    gate: Gate, breaker: Breaker, waits_s: float
) -> None:
    """The longer of the two is the wait."""
    standing = standing_of(NAME, gate, NOW)

    assert standing is not None
    assert (standing.breaker, standing.waits_s) == (breaker, waits_s)


@pytest.mark.parametrize(
    "name", ["", "projects/p/locations/l", "projects/p/locations/l/other", "a/b/c/d/e/f"]
)
def test_a_key_of_another_form_is_no_limit(name: str) -> None:
    """Somebody else's key under our prefix does no harm."""
    assert standing_of(name, Gate(), NOW) is None
