"""The broker dies and comes back: the worker stays."""

from __future__ import annotations

from tests.service.crew import Crew
from vertexq.embedded import Valkey

KILLS = 5


def test_a_busy_worker_outlives_five_deaths_of_its_broker(crew: Crew, own_valkey: Valkey) -> None:
    """With a step running and more hints waiting, the worker survives each kill and consumes again."""
    for kill in range(KILLS):
        crew.keep_busy(f"first-{kill}", f"second-{kill}")
        own_valkey.kill()
        own_valkey.start()

        assert crew.sweeps(), crew.log
    assert crew.worker.running(), crew.log
