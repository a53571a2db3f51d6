"""Kill -9 at every point of staging a table, and of making the next: nothing twice, every row once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.killing import END_S, MODEL, ROWS, World, killing_world
from tests.fundamentals.table_house import REQUESTS, asked, make, opened
from vertexq import SubmissionState
from vertexq.failpoints import Failpoint
from vertexq.simulator.behaviour import Behaviour
from vertexq.testing import valkey_server

KEYS = [f"k{number}" for number in range(ROWS)]
POINTS = [
    *(point for point in Failpoint if point.startswith("table.")),
    Failpoint.STAGE_MANIFEST_UPLOADED,
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make one world for all points, with a table in it."""
    with (
        valkey_server() as valkey,
        killing_world(tmp_path_factory.mktemp("tables"), valkey.url) as made,
    ):
        made.environment["BIGQUERY_EMULATOR_HOST"] = made.simulator.url
        client = opened(made.simulator.url)
        make(client, asked(ROWS), REQUESTS)
        client.query_and_wait("CREATE VIEW rows.seen AS SELECT * FROM rows.asked")
        client.close()
        yield made


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_while_it_stages_a_table_repeats_nothing(world: World, point: Failpoint) -> None:
    """It dies by SIGKILL right there; the next one finds the tables that are there, and the rows once."""
    name = f"killed-at-{point.value.replace('.', '-')}"
    again = point is Failpoint.TABLE_SUCCESSOR_MADE
    source = "bq://demo.rows.seen" if point is Failpoint.TABLE_SEEN else "bq://demo.rows.asked"
    world.arm(point)
    world.simulator.behaviours.set(Behaviour(quota_rows=0.3 if again else 0.0), match="-0")
    with world.client() as client:
        sent = client.submit(source, model=MODEL, store="results", id=name)
        world.await_death(point)
        world.start(POINTS[(POINTS.index(point) + 1) % len(POINTS)])

        done = client.wait(sent.id, timeout_s=END_S)

        assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, ROWS), (done.reason, world.log)
        assert world.faults(client, sent.id, KEYS) == []
        assert not repeated(world)


def repeated(world: World) -> list[str]:
    """Return the jobs that made a table which another job had been begun for."""
    client = opened(world.simulator.url)
    ids = [job.job_id for job in client.list_jobs(project="kills") if job.job_id.startswith("vertexq-in-")]
    client.close()
    assert ids
    return [id_ for id_ in ids if not id_.endswith("-0")]
