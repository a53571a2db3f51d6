"""What a limit does with grants, verdicts and time: the pure half, on a clock of the test's own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq.errors import Ambiguous, NotFound, Refused, Throttled, Unavailable, Unreachable, VertexqError
from vertexq.limits.base import CallClass, Verdict, verdict_of
from vertexq.limits.gate import Gate, take, tell
from vertexq.limits.shape import Shape, shapes

SECOND = 1_000_000
BEGAN = 1_700_000_000 * SECOND
NUMBERS = Shape(per_minute=60).numbers()


def rate_of(gate: Gate) -> float:
    """Return the present rate, in calls a minute."""
    return (gate.rate or gate.limit) / SECOND


@given(
    st.integers(1, 700),
    st.integers(1, 20),
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=300),
)
def test_no_minute_sees_more_than_the_limit(per_minute: int, burst: int, pauses_us: list[int]) -> None:
    """However callers press, in no window of a minute and a grant's life are more grants than the limit."""
    shape = Shape(per_minute=per_minute, burst=min(burst, per_minute))
    numbers, gate, now, granted = shape.numbers(), None, BEGAN, list[int]()
    for pause_us in pauses_us:
        now += pause_us
        gate, grant = take(gate, now, numbers)
        granted += [] if grant.wait_us else [now]

    span_us = round((60 + shape.grant_good_s) * SECOND)
    most = max(sum(first <= at < first + span_us for at in granted) for first in granted)
    assert most <= per_minute


@given(st.integers(1, 600), st.integers(1, 10))
def test_whoever_waits_as_told_is_let_through(per_minute: int, burst: int) -> None:
    """The wait that is named is exact: after it there is a turn."""
    numbers, gate, now = Shape(per_minute=per_minute, burst=burst, careful=True).numbers(), None, BEGAN
    for _ in range(30):
        gate, grant = take(gate, now, numbers)
        if grant.wait_us:
            now += grant.wait_us
            gate, grant = take(gate, now, numbers)
            assert grant.wait_us == 0


def test_a_limit_that_was_lost_counts_as_used_a_moment_ago() -> None:
    """A careful limit of which nothing is known waits its whole gap first."""
    gate, grant = take(None, BEGAN, Shape(per_minute=60, careful=True).numbers())

    assert grant.wait_us == Shape(per_minute=60).gap_us
    assert take(gate, BEGAN + grant.wait_us, NUMBERS)[1].wait_us == 0


def test_a_429_halves_the_rate_once_in_a_while() -> None:
    """Calls on their way say the same again; a later one halves again; one a minute is the floor."""
    gate = tell(None, BEGAN, NUMBERS, Verdict.THROTTLED)
    again = tell(gate, BEGAN + SECOND, NUMBERS, Verdict.THROTTLED)
    later = tell(again, BEGAN + 16 * SECOND, NUMBERS, Verdict.THROTTLED)
    low = later
    for number in range(2, 30):
        low = tell(low, BEGAN + number * 16 * SECOND, NUMBERS, Verdict.THROTTLED)

    assert [rate_of(one) for one in (gate, again, later, low)] == [30, 30, 15, 1]


def test_successes_raise_the_rate_again_up_to_the_limit() -> None:
    """A success gives at most as much again; the whole way up takes two to three minutes."""
    gate, now, rates = Gate(rate=SECOND), BEGAN, list[float]()
    while not rates or rates[-1] < 60:
        gate, grant = take(gate, now, NUMBERS)
        now += grant.wait_us
        gate, _ = take(gate, now, NUMBERS) if grant.wait_us else (gate, grant)
        gate = tell(gate, now, NUMBERS, Verdict.TAKEN)
        rates.append(rate_of(gate))

    assert rates[:3] == [2, 4, 8]
    assert all(after <= before * 2 for before, after in pairwise(rates))
    assert 60 * SECOND < now - BEGAN < 240 * SECOND


def test_what_the_server_asks_for_is_heeded() -> None:
    """Nobody calls before Retry-After; beyond an hour it is not believed; a shorter one changes nothing."""
    gate = tell(None, BEGAN, NUMBERS, Verdict.THROTTLED, retry_us=40 * SECOND)
    gate = tell(gate, BEGAN, NUMBERS, Verdict.TAKEN, retry_us=SECOND)
    absurd = tell(gate, BEGAN, NUMBERS, Verdict.THROTTLED, retry_us=10**15)

    assert take(gate, BEGAN + 39 * SECOND, NUMBERS)[1].wait_us == SECOND
    assert take(gate, BEGAN + 40 * SECOND, NUMBERS)[1].wait_us == 0
    assert take(absurd, BEGAN, NUMBERS)[1].wait_us == 3_600 * SECOND


def opened() -> Gate:
    """Return a limit whose breaker opened at the beginning."""
    gate = None
    for _ in range(5):
        gate = tell(gate, BEGAN, NUMBERS, Verdict.BROKEN)
    assert gate is not None
    assert gate.open_until == BEGAN + 30 * SECOND
    return gate


def test_the_breaker_opens_after_failures_in_a_row() -> None:
    """Five of them do it; one answer in between, also a 429, begins the row anew."""
    gate = None
    for verdict in [Verdict.BROKEN] * 4 + [Verdict.THROTTLED] + [Verdict.BROKEN] * 4:
        gate = tell(gate, BEGAN, NUMBERS, verdict)

    assert gate is not None
    assert (gate.failures, gate.open_until) == (4, 0)
    assert take(opened(), BEGAN + SECOND, NUMBERS)[1].wait_us == 29 * SECOND


def test_the_breaker_opens_when_half_of_the_calls_fail() -> None:
    """Also when never five in a row do."""
    gate, now, sent = None, BEGAN, 0
    while gate is None or not gate.open_until:
        now += 2 * SECOND
        gate, _ = take(gate, now, NUMBERS)
        gate = tell(gate, now, NUMBERS, Verdict.BROKEN if sent % 2 else Verdict.TAKEN)
        sent += 1

    assert sent == NUMBERS["least_calls"]


def test_one_probe_is_let_through_and_closes_the_breaker() -> None:
    """While it is out the others wait; an older call's success does not count; its own closes."""
    after = BEGAN + 31 * SECOND
    gate, probe = take(opened(), after, NUMBERS)
    late = tell(gate, after, NUMBERS, Verdict.TAKEN)
    _, other = take(late, after + 2 * SECOND, NUMBERS)
    closed = tell(late, after + 3 * SECOND, NUMBERS, Verdict.TAKEN, probe=probe.probe)

    assert (probe.wait_us, probe.probe, other.wait_us) == (0, after, 5 * SECOND)
    assert (late.open_until > 0, closed.open_until, closed.failures, closed.broken) == (True, 0, 0, 0)


def test_a_probe_that_fails_opens_the_breaker_again() -> None:
    """For as long as the first time."""
    after = BEGAN + 31 * SECOND
    gate, probe = take(opened(), after, NUMBERS)

    assert tell(gate, after, NUMBERS, Verdict.BROKEN, probe=probe.probe).open_until == after + 30 * SECOND


def test_a_probe_whose_owner_died_is_replaced() -> None:
    """After the longest a call can take another is let through; the first one's verdict is void then."""
    after = BEGAN + 31 * SECOND
    gate, first = take(opened(), after, NUMBERS)
    gate, second = take(gate, after + 70 * SECOND, NUMBERS)
    late = tell(gate, after + 71 * SECOND, NUMBERS, Verdict.TAKEN, probe=first.probe)

    assert (second.wait_us, second.probe > first.probe, late.open_until > 0) == (0, True, True)


def test_a_clock_that_was_set_back_keeps_nobody_waiting() -> None:
    """Nothing lies further ahead than it can: an hour back, the next call waits one gap, not an hour."""
    gate, _ = take(None, BEGAN, NUMBERS)
    gate, grant = take(gate, BEGAN - 3_600 * SECOND, NUMBERS)

    assert grant.wait_us == NUMBERS["gap"]


def test_a_changed_setting_holds_from_the_next_call_on() -> None:
    """A rate at the old limit is the new limit; one that was cut stays cut, never above the limit."""
    full, _ = take(None, BEGAN, NUMBERS)
    cut = tell(full, BEGAN, NUMBERS, Verdict.THROTTLED)
    higher, lower = Shape(per_minute=120).numbers(), Shape(per_minute=20).numbers()

    seen = [rate_of(take(gate, BEGAN, numbers)[0]) for gate in (full, cut) for numbers in (higher, lower)]
    assert seen == [120, 20, 30, 20]


def test_the_two_classes_are_googles_quotas() -> None:
    """Creates come one by one and are careful; reads may come ten at once; both hold in every minute."""
    both = shapes(creates_per_minute=60, reads_per_minute=600, request_deadline_s=60.0)
    create, read = both[CallClass.CREATE], both[CallClass.READ]

    assert (create.burst, create.careful, create.gap_us) == (1, True, 1_033_334)
    assert (read.burst, read.careful, read.gap_us) == (10, False, 104_907)
    assert (create.failures, read.failures) == (5, 12)
    assert create.probe_s > 60.0


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.TAKEN),
        (Refused("no", status=400), Verdict.TAKEN),
        (NotFound("no", status=404), Verdict.TAKEN),
        (Throttled("slow", status=429), Verdict.THROTTLED),
        (Ambiguous("slow", status=429), Verdict.THROTTLED),
        (Unavailable("gone", status=503), Verdict.BROKEN),
        (Unavailable("late", status=408), Verdict.TAKEN),
        (Unavailable("no answer"), Verdict.BROKEN),
        (Ambiguous("no answer"), Verdict.BROKEN),
        (Ambiguous("broken", status=500), Verdict.BROKEN),
        (Unreachable("no connection"), Verdict.BROKEN),
    ],
)
def test_what_an_error_says_of_a_call(error: VertexqError | None, verdict: Verdict) -> None:
    """5xx, no answer and no connection are broken; a 4xx is an answer; 429 asks to slow down."""
    assert verdict_of(error) is verdict
