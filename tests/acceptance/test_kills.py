"""Kill -9 at every named point of stage and create: one job for each batch, always, and every row once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.killing import END_S, MODEL, ROWS, World, killing_world, trouble
from vertexq import SubmissionState
from vertexq.failpoints import Failpoint
from vertexq.simulator.behaviour import Behaviour
from vertexq.testing import postgres_server, valkey_server

KEYS = [f"k{number}" for number in range(ROWS)]
POINTS = [point for point in Failpoint if not point.startswith(("ingest.", "settle.", "operate.", "table."))]
ON_POSTGRESQL = [Failpoint.STAGE_PART_ENTERED, Failpoint.CREATE_INTENDED, Failpoint.RECONCILE_LOOKED]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make one world, on SQLite, for all points; the worker that survives a point is armed for the next."""
    with (
        valkey_server() as valkey,
        killing_world(tmp_path_factory.mktemp("kills"), valkey.url) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def postgres_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make one whose ledger and store are in PostgreSQL."""
    with postgres_server() as postgres, valkey_server() as valkey:
        url = postgres.database_url("postgres")
        home = tmp_path_factory.mktemp("kills")
        with killing_world(home, valkey.url, VERTEXQ_LEDGER_URL=url, VERTEXQ_STORE_RESULTS=url) as made:
            yield made


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_pays_once_and_loses_nothing(world: World, point: Failpoint) -> None:
    """It dies by SIGKILL right there; the next worker ends the work."""
    killed_at(world, point, following(point, POINTS))


@pytest.mark.parametrize("point", ON_POSTGRESQL)
def test_the_same_holds_with_a_ledger_in_postgresql(postgres_world: World, point: Failpoint) -> None:
    """Where the ledger's own crash safety matters most."""
    killed_at(postgres_world, point, following(point, ON_POSTGRESQL))


def test_the_oracle_notices_a_second_create(world: World) -> None:
    """A loop that could not fail would prove nothing."""
    world.man()
    with world.client() as client:
        sent = client.submit(rows(), model=MODEL, store="results")
        client.wait(sent.id, timeout_s=END_S)
        before = world.faults(client, sent.id, KEYS)
        (first, *_) = (one.display_name for one in reversed(world.simulator.accepted))
        world.pay_twice(first)

        after = world.faults(client, sent.id, [*KEYS, "never"])

    assert before == []
    assert after == [f"{first} was paid for 2 times", "row never is stored 0 times"]


def killed_at(world: World, point: Failpoint, then: Failpoint) -> None:
    """Kill a worker at ``point``; let another one end the submission."""
    name = f"killed-at-{point.value.replace('.', '-')}"
    world.arm(point)
    world.simulator.faults.add(*trouble(point, name))
    online, asked = point.value.startswith("online."), len(world.simulator.online_calls)
    again = Behaviour(quota_rows=0.3 if online or point.value.startswith("rerun.") else 0.0)
    world.simulator.behaviours.set(again, match="-0")  # the first batch only
    with world.client() as client:
        source = world.put(f"rows/{name}.jsonl", rows()) if point.value.startswith("stage.") else rows()
        few = ROWS if online else 0
        sent = client.submit(source, model=MODEL, store="results", id=name, finish_online=few)
        world.await_death(point)
        world.start(then)

        done = client.wait(sent.id, timeout_s=END_S)

        assert (done.state, done.counts.succeeded) == (SubmissionState.DONE, ROWS), world.log
        assert world.faults(client, sent.id, KEYS) == []
        twice = 2 if point is Failpoint.ONLINE_ANSWERED else 1  # so many rows as are in a part
        assert len(world.simulator.online_calls) - asked == twice * world.online_rows(sent.id)
        assert bool(world.online_rows(sent.id)) == online


def following(point: Failpoint, points: list[Failpoint]) -> Failpoint:
    """Return the point after this one: the worker that ends the work is armed for it already."""
    return points[(points.index(point) + 1) % len(points)]


def rows() -> list[dict[str, str]]:
    """Return the rows of a submission: three batches of them."""
    return [{"key": key, "prompt": f"Say {key}"} for key in KEYS]
