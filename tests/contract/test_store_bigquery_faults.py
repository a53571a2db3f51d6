"""The BigQuery store when answers get lost, jobs fail or take their time, and tables are others' own."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_with_dataset
from vertexq.errors import BadSettings, PositionMoved, StaleFence, StoreRefused, Unreachable
from vertexq.results import Outcome, Progress
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.stores import Store, open_store
from vertexq.testing.simulator import running_simulator
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, bad_line, chunk, full_row, row, source_range

INSERT = "bigquery.jobs.insert"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Run one simulator for this file."""
    with running_simulator() as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Api]:
    """Give Google's client and an empty dataset ``d``."""
    with client_with_dataset(simulator) as made:
        yield made


@pytest.fixture
def store(simulator: Simulator, client: Api) -> Iterator[Store]:
    """Open a table of the test's own: ids of jobs are made of its name, and are kept when it is gone."""
    with _opened(simulator, f"t{uuid.uuid4().hex}") as store:
        yield store


def _opened(simulator: Simulator, table: str, options: str = "") -> Store:
    return open_store(f"bigquery://{PROJECT}.d.{table}?{options}", bigquery_endpoint=simulator.url)


def _table(store: Store) -> str:
    return store.url.partition("?")[0].rpartition(".")[2]


def _all(client: Api, store: Store, columns: str = "key, text") -> list[tuple[object, ...]]:
    query = f"SELECT {columns} FROM d.{_table(store)} ORDER BY 1"
    return [tuple(found) for found in client.query_and_wait(query)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=INSERT, action=Action.REFUSE, status=503),
        Fault(method=INSERT, action=Action.DROP),
        Fault(method=INSERT, action=Action.ACCEPT_THEN_DROP),
        Fault(method=INSERT, action=Action.ACCEPT_THEN_REFUSE, status=500),
        Fault(method=INSERT, action=Action.GARBLE),
        Fault(method=INSERT, action=Action.ACCEPT_LATE, delay_s=0.3),
        Fault(method=INSERT, action=Action.CUT, after_bytes=50),
        Fault(method=INSERT, action=Action.OTHER, note="slow", delay_s=0.5),
        Fault(method=INSERT, action=Action.OTHER, note="fail:backendError"),
        Fault(method=INSERT, action=Action.OTHER, note="fail:jobInternalError", times=2),
        Fault(method="bigquery.jobs.get", action=Action.REFUSE, status=503),
    ],
    ids=["503", "drop", "lost", "500-after", "garbled", "late", "cut", "slow", "failed", "twice", "get"],
)  # fmt: skip
def test_a_chunk_is_written_once_whatever_the_answer(
    store: Store, simulator: Simulator, fault: Fault
) -> None:
    """A write that returns has written its chunk, once, and the next one goes on behind it."""
    simulator.faults.add(fault)

    store.write(chunk(row("a"), quarantined=(bad_line(1),)), fence=1)
    store.write(chunk(row("b"), start=STEP_BYTES), fence=1)

    assert sorted(result.key for result in store.results(SUBMISSION)) == ["a", "b"]
    assert len(list(store.quarantine(SUBMISSION))) == 1
    assert store.progress(source_range()).position == 2 * STEP_BYTES


def test_a_load_that_takes_effect_after_its_writer_gave_up_is_found(
    store: Store, simulator: Simulator
) -> None:
    """The successor waits for the job that has the id, and goes on behind it."""
    simulator.faults.add(Fault(method=INSERT, action=Action.OTHER, note="slow", delay_s=1.0))
    made = chunk(row("a"))
    with _opened(simulator, _table(store)) as successor, ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.write, made, fence=1)
        _until_inserted(simulator)
        with pytest.raises(PositionMoved):
            successor.write(made, fence=2)
        first.result()

        assert successor.progress(source_range()).position == STEP_BYTES
        assert [result.key for result in successor.results(SUBMISSION)] == ["a"]


def _until_inserted(simulator: Simulator) -> None:
    before = len(simulator.faults.log(INSERT))
    asked = threading.Event()
    for _ in range(500):
        if len(simulator.faults.log(INSERT)) > before or not simulator.faults.armed():
            return
        asked.wait(0.01)
    raise AssertionError("no job was inserted")


def test_a_zombie_with_what_it_knew_writes_nothing(store: Store, simulator: Simulator) -> None:
    """Its chunk's id is taken; when it looks, it finds a higher token."""
    with _opened(simulator, _table(store)) as successor:
        store.write(chunk(row("a")), fence=1)
        successor.write(chunk(row("b"), start=STEP_BYTES), fence=2)

        with pytest.raises(PositionMoved):
            store.write(chunk(row("stale"), start=STEP_BYTES), fence=1)
        with pytest.raises(StaleFence):
            store.write(chunk(row("stale"), start=2 * STEP_BYTES), fence=1)

        assert sorted(result.key for result in successor.results(SUBMISSION)) == ["a", "b"]


def test_chunks_that_do_not_move_the_position_are_all_kept(store: Store) -> None:
    """A chunk may hold a note only; it is one commit more all the same."""
    store.write(chunk(row("a")), fence=1)
    note = Progress(position=STEP_BYTES, state=b"note")
    for key in "bc":
        store.write(replace(chunk(row(key), start=STEP_BYTES), progress=note), fence=1)

    assert sorted(result.key for result in store.results(SUBMISSION)) == ["a", "b", "c"]


@pytest.mark.parametrize("reason", ["quotaExceeded", "rateLimitExceeded"])
def test_a_quota_is_waited_for(store: Store, simulator: Simulator, reason: str) -> None:
    """What BigQuery has no room for now is not the chunk's fault: later it goes in."""
    simulator.faults.add(Fault(method=INSERT, action=Action.OTHER, note=f"fail:{reason}", times=None))
    with pytest.raises(Unreachable, match=reason):
        store.write(chunk(row("a")), fence=1)
    simulator.faults.clear()

    store.write(chunk(row("a")), fence=1)

    assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_a_row_that_bigquery_refuses_is_found_and_set_aside(store: Store, simulator: Simulator) -> None:
    """By loading halves into a table for trying; the others go in as they are."""
    invalid = "fail:invalid"
    simulator.faults.add(  # the chunk, then a with b; not a alone, but b alone
        Fault(method=INSERT, action=Action.OTHER, note=invalid, times=2),
        Fault(method=INSERT, action=Action.OTHER, note=invalid, skip=1),
    )

    assert store.write(chunk(row("a"), row("b", text="bad")), fence=1) == {"b"}

    found = {result.key: (result.outcome, result.text) for result in store.results(SUBMISSION)}
    assert found == {"a": (Outcome.SUCCEEDED, None), "b": (Outcome.QUARANTINED, None)}
    assert [line.raw for line in store.quarantine(SUBMISSION)] == [b"bad"]


def test_the_table_holds_each_key_once_after_finish(store: Store, client: Api) -> None:
    """Also when rows came twice and finish was called again and again, with more landed in between."""
    store.write(chunk(row("a", outcome="failed"), row("b", text="b")), fence=1)
    for _ in range(2):
        store.finish(SUBMISSION)
    assert _all(client, store, "key, outcome") == [("a", "failed"), ("b", "succeeded")]

    store.write(chunk(row("a", text="better", attempt=2), source=source_range("batch-2")), fence=1)
    store.finish(SUBMISSION, repeats=True)

    assert _all(client, store) == [("a", "better"), ("b", "b")]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=INSERT, action=Action.ACCEPT_THEN_DROP),
        Fault(method=INSERT, action=Action.OTHER, note="fail:backendError"),
        Fault(method=INSERT, action=Action.OTHER, note="slow", delay_s=0.5),
    ],
    ids=["lost", "failed", "slow"],
)
def test_results_are_brought_into_the_table_once(
    store: Store, simulator: Simulator, client: Api, fault: Fault
) -> None:
    """Four that finish at the same time, and a MERGE whose answer is lost, fails, or takes its time."""
    store.write(chunk(*(row(f"k{number}") for number in range(20))), fence=1)
    simulator.faults.add(fault)

    def finish(_: int) -> None:
        with _opened(simulator, _table(store)) as mine:
            mine.finish(SUBMISSION)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(finish, range(4)))

    assert len(_all(client, store)) == 20


def test_a_missing_dataset_is_said_by_name(simulator: Simulator) -> None:
    """Tables are made, datasets are not: they have a place that somebody must choose."""
    with (
        pytest.raises(StoreRefused, match=r"no dataset simulated-project\.nowhere.*bq mk"),
        open_store(f"bigquery://{PROJECT}.nowhere.t", bigquery_endpoint=simulator.url),
    ):
        pass


def test_a_url_without_a_table_is_refused() -> None:
    """It is said how one looks."""
    with pytest.raises(BadSettings, match=r"bigquery://project\.dataset\.table"):
        open_store("bigquery://just-a-project")


def test_rows_land_in_a_table_of_the_users_own(simulator: Simulator, client: Api) -> None:
    """Chosen columns under their own names, among others, JSON as JSON; a worse row never replaces."""
    field = bigquery.SchemaField
    schema = [field("id", "STRING"), field("answer", "STRING"), field("raw", "JSON"), field("note", "STRING")]
    client.create_table(bigquery.Table(f"{PROJECT}.d.own", schema=schema))
    client.insert_rows_json(client.get_table("d.own"), [{"id": "theirs", "note": "kept"}])

    with _opened(simulator, "own", "columns=key:id,text:answer,response:raw") as store:
        store.write(chunk(row("k", text="the answer", response=b'{"a": 1}')), fence=1)
        store.finish(SUBMISSION)
        (result,) = store.results(SUBMISSION)

    assert (result.key, result.text, result.response) == ("k", "the answer", {"a": 1})
    assert _all(client, store, "id, answer, note") == [("k", "the answer", None), ("theirs", None, "kept")]
    assert _all(client, store, "JSON_VALUE(raw, '$.a')") == [(None,), ("1",)]


def test_a_table_that_cannot_take_the_rows_is_said(simulator: Simulator, client: Api) -> None:
    """Which column is missing, or of another type."""
    client.create_table(bigquery.Table(f"{PROJECT}.d.wrong", schema=[bigquery.SchemaField("id", "INTEGER")]))

    with (
        pytest.raises(BadSettings, match=r"no column answer .*; its column id is INTEGER; for key it may be"),
        _opened(simulator, "wrong", "columns=key:id,text:answer"),
    ):
        pass


def test_a_newer_vertexq_adds_its_columns(simulator: Simulator, client: Api) -> None:
    """Tables of an older one get them, at once by several workers; its rows read as null there."""
    field = bigquery.SchemaField
    landing = [
        field(name, "STRING", mode="REQUIRED" if name == "kind" else "NULLABLE")
        for name in ("kind", "key", "submission_id")
    ]
    client.create_table(bigquery.Table(f"{PROJECT}.d.old_landing", schema=landing))
    client.create_table(
        bigquery.Table(f"{PROJECT}.d.old", schema=[field("key", "STRING"), field("submission_id", "STRING")])
    )

    def start(_: int) -> None:
        with _opened(simulator, "old"):
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(start, range(3)))
    with _opened(simulator, "old") as store:
        store.write(chunk(full_row("a"), source=source_range("evolved")), fence=1)
        store.finish(SUBMISSION)

    assert len(client.get_table("d.old").schema) == len(full_row("a"))
    assert _all(client, store) == [("a", "an answer to a")]


def test_results_are_read_from_the_table_when_the_landed_have_expired(store: Store, client: Api) -> None:
    """Old days of the landing table may be let expire; what was finished stays."""
    store.write(chunk(full_row("a"), row("b", outcome="failed")), fence=1)
    store.finish(SUBMISSION)
    before = sorted(store.results(SUBMISSION), key=lambda result: result.key)
    client.query_and_wait(f"TRUNCATE TABLE d.{_table(store)}_landing")

    assert sorted(store.results(SUBMISSION), key=lambda result: result.key) == before
    assert [found.key for found in store.results(SUBMISSION, outcomes=frozenset({Outcome.FAILED}))] == ["b"]


def test_nothing_of_a_row_is_in_an_error(store: Store, simulator: Simulator) -> None:
    """What BigQuery says of a bad row may quote it; our error does not."""
    simulator.faults.add(Fault(method=INSERT, action=Action.OTHER, note="fail:invalid", times=None))
    with pytest.raises(StoreRefused) as caught:
        store.write(chunk(row("secret key", text="secret text")), fence=1)

    assert "secret" not in str(caught.value)
