"""Kill -9 at the n-th point of ingest and settle, n = 1, 2, 3 …, until a run ends untouched."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.reading import (
    BUCKET,
    LIFE_S,
    MANIFEST,
    OUTPUT,
    Site,
    enter,
    faults_of,
    manifest,
    start,
    upload,
)
from tests.fundamentals.outputs_house import answer, blocked, failed
from vertexq.ledger import Ledger
from vertexq.results import Outcome
from vertexq.simulator.server import Simulator
from vertexq.testing import running_simulator

ROWS = 24
MOST = 200
STORES: dict[str, Callable[[Path], dict[str, str]]] = {
    "sqlite": lambda home: {"a": f"sqlite:///{home}/results.db"},
    "duckdb": lambda home: {"a": f"duckdb:///{home}/results.duckdb"},
    "parquet": lambda home: {"a": f"parquet:///{home}/parquet"},
    "jsonl": lambda home: {"a": f"jsonl:///{home}/lines"},
    "two": lambda home: {"a": f"sqlite:///{home}/results.db", "b": f"jsonl:///{home}/lines"},
}
WANTED = {
    **{f"k{n}": Outcome.SUCCEEDED for n in range(20)},
    "k20": Outcome.BLOCKED,
    "k21": Outcome.FAILED,
    **{f"k{n}": Outcome.MISSING for n in range(22, ROWS)},
}


def objects() -> dict[str, bytes]:
    """Return a job's output: rows that are better the second time, a bad line, two rows left out."""
    first = [blocked(n, key=f"k{n}") for n in (3, 5)] + [answer(n, key=f"k{n}") for n in range(12)]
    second = [answer(n, key=f"k{n}") for n in (0, 1, *range(12, 20))]
    second += [blocked(20, key="k20"), failed(21, key="k21"), b'{"key":"r9999999-x","response":{}}\n']
    return {"predictions_1.jsonl": b"".join(first), "predictions_2.jsonl": b"".join(second)}


@pytest.fixture(scope="module")
def google() -> Iterator[Simulator]:
    """Run one simulated Cloud Storage with the output of all jobs."""
    with running_simulator(buckets=[BUCKET]) as simulator:
        output = {OUTPUT.join(name): data for name, data in objects().items()}
        asyncio.run(upload(simulator.url, {MANIFEST: manifest(ROWS), **output}))
        yield simulator


def site_of(google: Simulator, home: Path, stores: dict[str, str], ledger_url: str = "") -> Site:
    """Make a ledger; ranges are small, so that there are several."""
    site = Site(
        ledger_url=ledger_url or f"sqlite:///{home}/ledger.db", endpoint=google.url, stores=stores,
        options={"range_bytes": 3_400},
    )  # fmt: skip
    Ledger.open(site.ledger_url).close()
    return site


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["two", "duckdb", "parquet"])  # "two" are SQLite and JSON Lines
def test_every_row_is_there_once_wherever_a_worker_dies(google: Simulator, tmp_path: Path, kind: str) -> None:
    """One process dies at the n-th point, the next one ends the work."""
    assert killed_everywhere(site_of(google, tmp_path, STORES[kind](tmp_path))) > 20


@pytest.mark.timeout(300)
def test_the_same_holds_in_postgresql(google: Simulator, tmp_path: Path, postgres_url: str) -> None:
    """Ledger and store in one database, as on several machines."""
    assert killed_everywhere(site_of(google, tmp_path, {"a": postgres_url}, postgres_url)) > 20


@pytest.mark.parametrize("kind", STORES)
def test_every_task_may_come_twice_and_out_of_order(google: Simulator, tmp_path: Path, kind: str) -> None:
    """Three hands of one process and another process work on the same submission."""
    site = site_of(google, tmp_path, STORES[kind](tmp_path))
    for seed in (1, 2):
        name = f"muddled-{seed}"
        with closing(Ledger.open(site.ledger_url)) as ledger:
            enter(ledger, name, rows=ROWS, store=",".join(site.stores))
        readers = [start(site, name, hands=3, seed=seed), start(site, name, hands=2, seed=seed + 9)]
        for reader in readers:
            reader.join(LIFE_S)

        assert [reader.exitcode for reader in readers] == [0, 0]
        assert faults_of(site, name, WANTED, list(site.stores)) == []


def killed_everywhere(site: Site, output: str = str(OUTPUT)) -> int:
    """Kill a reader at every point there is, then end what they began; return how many points there were."""
    names: list[str] = []
    for number in range(1, MOST):
        names.append(f"killed-{number}")
        with closing(Ledger.open(site.ledger_url)) as ledger:
            enter(ledger, names[-1], rows=ROWS, store=",".join(site.stores), directories=[output])
        code = ended(site, names[-1], failpoint=f"#{number}")
        assert code in (0, -signal.SIGKILL), number
        if code == 0:
            break
    assert ended(site, *names) == 0
    faults = {name: faults_of(site, name, WANTED, list(site.stores)) for name in names}
    assert {name: found for name, found in faults.items() if found} == {}
    return len(names)


def ended(site: Site, *names: str, failpoint: str = "") -> int | None:
    """Run one process to its end; return its exit code."""
    process = start(site, *names, failpoint=failpoint)
    process.join(LIFE_S)
    return process.exitcode
