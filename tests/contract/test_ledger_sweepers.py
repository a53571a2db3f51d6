"""Due work: sweepers get different records, nobody is reminded too often, and nothing is starved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.pool import Pool

from sqlalchemy import Connection, inspect, text

from tests.contract.ledger_values import LONG_S, new_submission, running
from tests.contract.racing import at_once
from vertexq.ledger import Due, Ledger, Record
from vertexq.ledger.due import taking
from vertexq.ledger.engine import open_engine
from vertexq.ledger.schema import batches, submissions
from vertexq.ledger.times import database_now
from vertexq.states import BatchState as B
from vertexq.states import SubmissionState as S

RESEND_S = 60.0
FINISHED = 100_000


def _ids(due: Sequence[Due]) -> list[str]:
    return [one.id for one in due]


def test_a_record_is_handed_out_once_within_the_resend_time(ledger: Ledger) -> None:
    """The hint that was just sent is not sent again; one that is old enough is."""
    ledger.enqueue(new_submission())

    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]
    assert ledger.due(limit=10, resend_after_s=RESEND_S) == []
    _until_later(ledger)
    assert _ids(ledger.due(limit=10, resend_after_s=0)) == ["s-1"]


def test_a_record_that_is_hastened_is_due_at_once(ledger: Ledger) -> None:
    """``hasten`` asks for a hint again, although one was sent a moment ago."""
    ledger.enqueue(new_submission())

    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]
    assert ledger.due(limit=10, resend_after_s=RESEND_S) == []

    ledger.hasten(Record.SUBMISSION, "s-1")
    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]


def test_what_rests_is_not_hastened(ledger: Ledger) -> None:
    """A hint that comes late must not put a record on the list of what is due for ever."""
    for state in (S.REJECTED, S.PARKED):
        ledger.enqueue(new_submission(state.value))
        ledger.move_submission(ledger.submission(state.value), state)

        ledger.hasten(Record.SUBMISSION, state.value)

        assert ledger.submission(state.value).next_action_at is None
    assert ledger.due(limit=10, resend_after_s=0) == []


def test_a_move_makes_room_for_a_new_hint(ledger: Ledger) -> None:
    """A hint for the state before says nothing about the state after."""
    ledger.enqueue(new_submission())
    ledger.due(limit=10, resend_after_s=RESEND_S)

    ledger.move_submission(ledger.submission("s-1"), S.STAGING, next_action_at=ledger.now())

    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]


def test_what_somebody_works_on_is_not_due(ledger: Ledger) -> None:
    """A live lease hides a record; one that ran out shows it, although a hint was sent before."""
    ledger.enqueue(new_submission("s-1"))
    ledger.enqueue(new_submission("s-2"))
    ledger.due(limit=10, resend_after_s=RESEND_S)
    ledger.hasten(Record.SUBMISSION, "s-2")
    ledger.claim(Record.SUBMISSION, "s-2", owner="w", lease_s=LONG_S)

    assert ledger.due(limit=10, resend_after_s=RESEND_S) == []


def test_what_a_dead_worker_held_is_due_again(ledger: Ledger) -> None:
    """Nobody waits for the resend time once the lease of a dead worker has run out."""
    ledger.enqueue(new_submission())
    ledger.due(limit=10, resend_after_s=RESEND_S)
    ledger.claim(Record.SUBMISSION, "s-1", owner="dead", lease_s=0.001)
    _until_later(ledger)

    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]
    assert ledger.due(limit=10, resend_after_s=RESEND_S) == []


def _until_later(ledger: Ledger) -> None:
    """Ask for the clock until it has gone on by more than the lease of the test above."""
    start = ledger.now()
    while ledger.now() - start < timedelta(milliseconds=5):
        pass


def test_what_is_to_be_done_later_is_not_due(ledger: Ledger) -> None:
    """A record without a next action, or with one to come, is left alone."""
    ledger.enqueue(new_submission("s-1"))
    ledger.enqueue(new_submission("s-2"))
    ledger.move_submission(ledger.submission("s-1"), S.PARKED)
    later = ledger.now() + timedelta(hours=1)
    ledger.update_submission(ledger.submission("s-2"), next_action_at=later)

    assert ledger.due(limit=10, resend_after_s=RESEND_S) == []


def test_parallel_sweepers_share_the_work(ledger: Ledger, ledger_url: str) -> None:
    """Eight sweepers at once hand out every record, and none of them twice."""
    for number in range(40):
        ledger.enqueue(new_submission(f"s-{number}"))
    ledgers = [Ledger.open(ledger_url) for _ in range(8)]

    taken = at_once(8, lambda number: _ids(_all_due(ledgers[number])))
    for one in ledgers:
        one.close()

    assert sorted(one for ids in taken for one in ids) == sorted(f"s-{number}" for number in range(40))


def test_sweeping_processes_share_the_work(ledger: Ledger, ledger_url: str, processes: Pool) -> None:
    """The same between processes."""
    for number in range(40):
        ledger.enqueue(new_submission(f"s-{number}"))

    taken = processes.map(_sweep, [ledger_url] * 8, chunksize=1)

    assert sorted(one for ids in taken for one in ids) == sorted(f"s-{number}" for number in range(40))


def _sweep(url: str) -> list[str]:
    ledger = Ledger.open(url)
    taken = _all_due(ledger)
    ledger.close()
    return _ids(taken)


def _all_due(ledger: Ledger) -> list[Due]:
    found: list[Due] = []
    while some := ledger.due(limit=7, resend_after_s=RESEND_S):
        assert len(some) <= 7
        found += some
    return found


def test_many_due_submissions_do_not_starve_batches(ledger: Ledger) -> None:
    """Each kind gets at least half of a sweep, and what one kind does not need is the other's."""
    running(ledger, "s-x", batches=3)
    for number in range(8):
        ledger.enqueue(new_submission(f"s-{number}"))

    first = ledger.due(limit=4, resend_after_s=RESEND_S)
    rest = ledger.due(limit=100, resend_after_s=RESEND_S)

    assert [one.record for one in first].count(Record.BATCH) == 2
    assert len(first) == 4
    assert len(rest) == 3 + 8 - 4


def test_the_longest_overdue_come_first(ledger: Ledger) -> None:
    """A sweep that cannot take all takes what has waited longest, in that order."""
    now = ledger.now()
    for number, minutes in enumerate([3, 1, 2]):
        ledger.enqueue(new_submission(f"s-{number}"))
        overdue = now - timedelta(minutes=minutes)
        ledger.update_submission(ledger.submission(f"s-{number}"), next_action_at=overdue)

    assert _ids(ledger.due(limit=2, resend_after_s=RESEND_S)) == ["s-0", "s-2"]


def test_a_due_record_says_what_a_hint_needs(ledger: Ledger) -> None:
    """Kind, id and state; for a batch also where its job runs."""
    (batch,) = running(ledger)

    (due,) = ledger.due(limit=10, resend_after_s=RESEND_S)

    assert due == Due(record=Record.BATCH, id=batch.id, state=B.READY, project="p", location="europe-west4")


def test_beats_are_remembered_by_name(ledger: Ledger) -> None:
    """The last one of each counts."""
    assert ledger.last_beats() == {}
    ledger.beat("sweep")
    first = ledger.last_beats()["sweep"]
    ledger.beat("sweep")
    ledger.beat("other")

    beats = ledger.last_beats()
    assert sorted(beats) == ["other", "sweep"]
    assert first <= beats["sweep"] <= ledger.now()


def test_finished_records_cost_a_sweep_nothing(ledger: Ledger, ledger_url: str) -> None:
    """With 100,000 finished submissions the few that are due are found through their index."""
    ledger.enqueue(new_submission("old"))
    ledger.move_submission(ledger.submission("old"), S.REJECTED)
    engine = open_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(text(_MANY_LIKE_IT))
    ledger.enqueue(new_submission())

    with engine.begin() as connection:
        plan = _plan(connection)
    engine.dispose()

    assert "vertexq_submissions_due" in plan, plan
    assert _ids(ledger.due(limit=10, resend_after_s=RESEND_S)) == ["s-1"]


def test_finished_records_are_not_in_the_index(ledger: Ledger, ledger_url: str) -> None:
    """Migrations build it over what is still to be done, as the schema says; Alembic does not compare it."""
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        found = inspect(connection)
        indexes = [*found.get_indexes(submissions.name), *found.get_indexes(batches.name)]
    engine.dispose()

    where = f"{engine.dialect.name}_where"
    parts = {one["name"]: str(one.get("dialect_options", {}).get(where, "")) for one in indexes}
    for name in ("vertexq_submissions_due", "vertexq_batches_due"):
        assert "next_action_at IS NOT NULL" in parts[name]


_COPIED = ", ".join(f'"{column.name}"' for column in submissions.c if column.name != "id")
_MANY_LIKE_IT = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {FINISHED})
    INSERT INTO vertexq_submissions (id, {_COPIED})
    SELECT 'old-' || n, {_COPIED} FROM vertexq_submissions CROSS JOIN numbers WHERE id = 'old'
"""


def _plan(connection: Connection) -> str:
    """Return how the database would find what is due."""
    now = database_now(connection)
    statement = taking(submissions, now, now, 100).compile(
        dialect=connection.dialect, compile_kwargs={"literal_binds": True}
    )
    sqlite = connection.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
    return "\n".join(str(row) for row in connection.execute(text(f"{explain} {statement}")))
