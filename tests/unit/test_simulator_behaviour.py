"""Which simulated job behaves how, and how a behaviour travels as JSON."""

from __future__ import annotations

import pytest

from vertexq.errors import BadInput
from vertexq.simulator.behaviour import (
    Behaviour,
    Behaviours,
    Echo,
    behaviour_from_json,
    behaviour_to_json,
)
from vertexq.simulator.timing import Timing
from vertexq.states import JobState

SLOW = Behaviour(stuck_state=JobState.PENDING, stuck_s=1.5, echo=Echo.COERCED, quota_rows=0.5)


def test_a_behaviour_survives_the_journey() -> None:
    """What is written is what is read; whole numbers will do for shares."""
    assert behaviour_from_json(behaviour_to_json(SLOW)) == SLOW
    assert behaviour_from_json(behaviour_to_json(Behaviour())) == Behaviour()
    assert behaviour_from_json({"missing_rows": 1, "stuck_s": 2}) == Behaviour(missing_rows=1.0, stuck_s=2.0)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"colour": 1},
        {"shards": "2"},
        {"shuffle": 1},
        {"bad_rows": True},
        {"echo": "loud"},
        {"stuck_state": "JOB_STATE_FAILED"},
        {"stuck_s": "soon"},
    ],
)
def test_a_behaviour_nobody_knows_is_refused(value: object) -> None:
    """The message says which field, and what would do."""
    with pytest.raises(BadInput, match="behaviour"):
        behaviour_from_json(value)


def test_a_job_finds_its_behaviour() -> None:
    """By its display name or a label; what was set last comes first; all others have the default."""
    behaviours = Behaviours(Behaviour(shards=2))
    behaviours.set(Behaviour(shards=3), match="-slow-")
    behaviours.set(SLOW, match="speed=low")

    assert behaviours.of("a", {}).shards == 2
    assert behaviours.of("a-slow-b", {"speed": "high"}).shards == 3
    assert behaviours.of("a-slow-b", {"speed": "low"}) == SLOW
    assert list(behaviours.to_json()) == ["", "-slow-", "speed=low"]
    behaviours.clear()
    assert behaviours.of("a-slow-b", {"speed": "low"}) == Behaviour()


def test_rows_are_due_at_the_rate() -> None:
    """At 100 rows a second the 50th is due after half a second; at 0 all are due at once."""
    assert Timing(rows_per_s=100).due_s(50) == 0.5
    assert Timing.fast().due_s(50) == 0.0
