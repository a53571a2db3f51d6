"""The PostgreSQL store and a server that dies, hangs up, refuses or loses its answer."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.contract.wire import Wire
from vertexq.embedded.postgres import Postgres
from vertexq.errors import BadSettings, PositionMoved, StoreRefused, Unreachable
from vertexq.results import Outcome
from vertexq.stores import Store, open_store
from vertexq.testing.servers import postgres_server
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, chunks_of, row, source_range


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Postgres]:
    """Run one PostgreSQL for this file."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(shared_server: Postgres) -> str:
    """Make a database nobody used."""
    name = f"d{uuid.uuid4().hex}"
    with psycopg.connect(shared_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    return shared_server.database_url(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Open a prepared store."""
    with open_store(url) as store:
        yield store


def test_a_server_that_dies_in_the_middle_of_a_copy_costs_one_chunk() -> None:
    """The chunk is gone as a whole, the store comes back with the server, and every row is there once."""
    chunks = list(chunks_of(source_range(), chunks=3, rows=300, text_bytes=2000))
    with postgres_server() as server, ThreadPoolExecutor(1) as pool, open_store(server.url) as store:
        store.write(chunks[0], fence=1)
        with _row_in_the_way(server.url, chunks[1].rows[-2].key):
            writing = pool.submit(store.write, chunks[1], fence=1)
            _until_copy_waits(server.url)
            server.stop(immediate=True)
            assert isinstance(writing.exception(), Unreachable)
        server.start()

        with open_store(server.url) as again:
            assert again.progress(source_range()).position == STEP_BYTES
            for made in chunks[1:]:
                again.write(made, fence=2)
            keys = [result.key for result in again.results(SUBMISSION)]

    assert len(keys) == len(set(keys)) == 3 * 300


def test_the_same_keys_at_the_same_time_never_wait_in_a_circle(url: str, store: Store) -> None:
    """Two ranges with the same keys in opposite order: no deadlock, and each key's better row stays."""
    keys = [f"k{number}" for number in range(400)]

    def fill(name: str) -> None:
        ordered, better = (keys, 0) if name == "up" else (keys[::-1], 1)
        rows = [row(key, outcome="succeeded" if int(key[1:]) % 2 == better else "failed") for key in ordered]
        with open_store(url) as mine:
            for number in range(8):
                made = chunk(*rows, source=source_range(f"{name}{number}"), replacing=keys if number else ())
                mine.write(made, fence=1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, ["up", "down"]))

    assert all(result.ok for result in store.results(SUBMISSION))
    with psycopg.connect(url) as admin:
        found = admin.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert found.fetchone() == (0,)


def test_a_lost_commit_answer_is_found_by_trying_again(url: str) -> None:
    """The commit took effect although its answer never came: the second try says so and doubles nothing."""
    with Wire(urlsplit(url).port or 0) as wire, open_store(wire.through(url)) as store:
        wire.cut_every = 1
        with pytest.raises(Unreachable):
            store.write(chunk(row("a"), row("b")), fence=1)
        wire.cut_every = 0

        with pytest.raises(PositionMoved):
            store.write(chunk(row("a"), row("b")), fence=1)

        assert store.progress(source_range()).position == STEP_BYTES
        assert sorted(result.key for result in store.results(SUBMISSION)) == ["a", "b"]


def test_a_worker_asleep_in_its_chunk_keeps_nobody_waiting_for_ever(url: str, store: Store) -> None:
    """Its successor hears that it must come back later, and does when the sleeper is gone."""
    asleep = f"SELECT pg_advisory_xact_lock(hashtextextended('vertexq range {source_range().id}', 0))"
    with psycopg.connect(url) as sleeper, open_store(f"{url}?options=-clock_timeout%3D200") as successor:
        sleeper.execute(asleep.encode())
        with pytest.raises(Unreachable, match="lock timeout"):
            successor.write(chunk(row("a")), fence=2)

    store.write(chunk(row("a")), fence=2)
    assert [result.key for result in store.results(SUBMISSION)] == ["a"]


def test_the_next_call_connects_again(url: str, store: Store) -> None:
    """A connection that the server closed is a retryable error once, and then forgotten."""
    store.write(chunk(row("a")), fence=1)
    with psycopg.connect(url) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'vertexq' AND datname = current_database()"
        )

    with pytest.raises(Unreachable):
        store.progress(source_range())

    assert store.progress(source_range()).position == STEP_BYTES


def test_a_poison_row_among_thousands_is_found(store: Store) -> None:
    """Rows the server refuses for reasons of its own are found by halving; the others go in."""
    too_long = "".join(f"{number:x}" for number in range(3000))  # over what an index takes
    rows = [row(f"k{number}") for number in range(2000)]
    rows[777] = row("k777", response=b"[" * 100_000 + b"]" * 100_000)  # deeper than the server's stack
    rows[778] = row(too_long, text="the answer")

    assert store.write(chunk(*rows), fence=1) == {"k777", too_long}

    outcomes = {result.key: result.outcome for result in store.results(SUBMISSION)}
    assert len(outcomes) == 1999
    assert [key for key, outcome in outcomes.items() if outcome is not Outcome.SUCCEEDED] == ["k777"]
    assert len(list(store.quarantine(SUBMISSION))) == 2


def test_errors_show_neither_password_nor_answers(url: str, store: Store) -> None:
    """What the store says is safe to log."""
    wrong = url.replace(f":{urlsplit(url).password}@", ":canary-password@")
    with pytest.raises(Unreachable) as refused, open_store(wrong):
        pass
    store.write(chunk(row("a", response=b'{"canary-answer": "\\ud800"}')), fence=1)

    shown = (
        str(refused.value) + repr(store) + store.location(SUBMISSION) + str(list(store.results(SUBMISSION)))
    )
    assert "canary" not in shown
    assert str(urlsplit(url).password) not in shown


def test_a_user_without_rights_is_told_so(url: str, store: Store) -> None:
    """Tables made by somebody else are used without the right to create; no right to write is an error."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    parts = urlsplit(url)
    limited = f"postgresql://reader:reader@127.0.0.1:{parts.port}{parts.path}"

    with open_store(limited) as reader, pytest.raises(StoreRefused, match="permission denied"):
        reader.write(chunk(row("a")), fence=1)

    assert list(store.results(SUBMISSION)) == []


def test_a_server_that_is_not_there_is_unreachable() -> None:
    """A refused connection names the address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]

    with pytest.raises(Unreachable, match=str(port)), open_store(f"postgresql://u:p@127.0.0.1:{port}/db"):
        pass


def test_a_url_that_cannot_be_read_is_a_setting_to_mend() -> None:
    """It is said before anything is connected to, and without the password."""
    with pytest.raises(BadSettings) as refused:
        open_store("postgresql://user:hidden@host/db?no_such_option=1")

    assert "hidden" not in str(refused.value)


@contextmanager
def _row_in_the_way(url: str, key: str) -> Generator[None]:
    """Hold an uncommitted row of ``key``: a COPY that comes to this key waits, its earlier rows copied."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as rival:
        rival.execute(
            "INSERT INTO vertexq_results (submission_id, key, batch_id, outcome, attempt) "
            "VALUES (%s, %s, 'b', 'succeeded', 1)",
            (SUBMISSION, key),
        )
        yield


def _until_copy_waits(url: str) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%%' AND wait_event_type = %s"
    with psycopg.connect(url, autocommit=True) as admin:
        while not admin.execute(waiting, ("Lock",)).fetchone():
            pass
