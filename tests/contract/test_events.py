"""Events of a submission: each move once, however slowly others commit, and from any cursor on."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from tests.contract.ledger_values import B, S, bound, held, running
from vertexq import BadInput
from vertexq.events import Cursor, Event, EventKind, EventStream
from vertexq.ledger import Ledger, Record
from vertexq.ledger.schema import audit
from vertexq.ledger.times import database_now
from vertexq.model import Counts


def moves(events: list[Event]) -> list[tuple[str, str]]:
    """Return what moved where."""
    return [(event.id, event.state) for event in events if event.kind is not EventKind.ROWS]


def all_of(stream: EventStream) -> list[Event]:
    """Look until nothing is there at once."""
    found = stream.look()
    while stream.has_more:
        found += stream.look()
    return found


def done(ledger: Ledger, *, succeeded: int = 2) -> None:
    """End the submission ``s-1``, one batch of which has landed."""
    (batch,) = ledger.batches("s-1")
    claim = held(ledger, Record.BATCH, batch.id)
    ended = ledger.move_batch(batch, B.ENDED, claim=claim)
    ledger.move_batch(ended, B.INGESTED, claim=claim, counts=Counts(succeeded=succeeded))
    settling = ledger.move_submission(ledger.submission("s-1"), S.SETTLING)
    ledger.move_submission(settling, S.DONE, counts=Counts(succeeded=succeeded))


def test_the_story_is_told_from_the_beginning_to_the_end(ledger: Ledger) -> None:
    """Moves of the submission and of its batch, the rows that landed, and the end as the last event."""
    (batch,) = running(ledger)
    bound(ledger, batch)
    done(ledger)
    stream = EventStream(ledger, "s-1")

    events = all_of(stream)

    assert stream.ended
    assert [event.state for event in events if event.id == "s-1" and event.kind is EventKind.SUBMISSION] == [
        "queued", "staging", "running", "settling", "done",
    ]  # fmt: skip
    assert [event.state for event in events if event.kind is EventKind.BATCH] == [
        "ready", "sending", "bound", "ended", "ingested",
    ]  # fmt: skip
    assert [event.kind for event in events[-2:]] == [EventKind.ROWS, EventKind.SUBMISSION]
    assert events[-1].counts == Counts(succeeded=2)


def test_every_cursor_goes_on_right_behind_its_event(ledger: Ledger) -> None:
    """Whatever event a reader stopped at, the rest comes: nothing twice, nothing left out."""
    (batch,) = running(ledger)
    bound(ledger, batch)
    done(ledger)
    events = all_of(EventStream(ledger, "s-1"))

    for at, event in enumerate(events):
        rest = all_of(EventStream(ledger, "s-1", after=event.cursor))
        assert moves(rest) == moves(events[at + 1 :])
        assert len(rest) == len(events) - at - 1


def test_nothing_new_is_nothing_told(ledger: Ledger) -> None:
    """A second look has no event, and a look after a move has that one."""
    (batch,) = running(ledger)
    stream = EventStream(ledger, "s-1")
    all_of(stream)

    quiet = stream.look()
    bound(ledger, batch)

    assert quiet == []
    assert moves(stream.look()) == [(batch.id, "sending"), (batch.id, "bound")]
    assert not stream.ended


def test_rows_that_land_are_told_while_it_runs(ledger: Ledger) -> None:
    """Each time their counts differ from those told before, and not otherwise."""
    (batch,) = running(ledger)
    stream = EventStream(ledger, "s-1")
    all_of(stream)
    claim = held(ledger, Record.BATCH, batch.id)

    one = ledger.update_batch(ledger.batch(batch.id), claim=claim, counts=Counts(succeeded=1))
    first = stream.look()
    ledger.update_batch(one, claim=claim, counts=Counts(succeeded=1), reason="same rows")
    second = stream.look()

    assert [(event.kind, event.counts) for event in first] == [(EventKind.ROWS, Counts(succeeded=1))]
    assert second == []
    assert all_of(EventStream(ledger, "s-1", after=first[-1].cursor)) == []


def test_a_move_that_commits_late_is_told_although_its_number_is_small(
    postgres_ledger_url: str,
) -> None:
    """One transaction draws its number, another one commits in between: both are told, also after a pause."""
    ledger = Ledger.open(postgres_ledger_url)
    (batch,) = running(ledger)
    stream = EventStream(ledger, "s-1")
    told = all_of(stream)
    with ledger._writing() as slow:  # pyright: ignore[reportPrivateUsage]
        line = {
            "record": "batch", "record_id": batch.id, "at": database_now(slow), "from_state": "bound",
            "to_state": "late", "version": 77, "actor": "slow", "reason": "",
        }  # fmt: skip
        slow.execute(insert(audit), [line])
        bound(ledger, batch)
        during = stream.look()
        cursor = during[-1].cursor
    ledger.update_submission(ledger.submission("s-1"), reason="a later change")

    assert moves(told)[-1] != (batch.id, "late")
    assert moves(during) == [(batch.id, "sending"), (batch.id, "bound")]
    assert moves(stream.look()) == [(batch.id, "late")]
    assert moves(all_of(EventStream(ledger, "s-1", after=cursor))) == [(batch.id, "late")]
    assert Cursor.parse(cursor).beyond
    ledger.close()


def test_readers_that_stop_and_go_on_miss_nothing_while_writers_race(ledger: Ledger) -> None:
    """Four threads move twelve batches; a reader takes up its cursor anew at every look."""
    batches = running(ledger, batches=12)
    rng = random.Random(5)

    def move(number: int) -> None:
        bound(ledger, batches[number])

    seen: list[Event] = []
    with ThreadPoolExecutor(4) as pool:
        moving = [pool.submit(move, number) for number in range(12)]
        while True:
            over = all(one.done() for one in moving)
            stream = EventStream(ledger, "s-1", after=seen[-1].cursor if seen else "")
            found = all_of(stream)
            seen += found[: rng.randint(1, 5)] if not over else found
            if over:
                break
        for one in moving:
            one.result()

    wanted = [("s-1", state) for state in ("queued", "staging", "running")]
    wanted += [(batch.id, state) for batch in batches for state in ("ready", "sending", "bound")]
    assert sorted(moves(seen)) == sorted(wanted)


@pytest.mark.parametrize("text", ["x", "1:2", "1:2:3", "a::0,0,0,0,0", "1::0,0,0,0", "1::0,0,0,0,0,0"])
def test_what_is_no_cursor_is_refused(ledger: Ledger, text: str) -> None:
    """Somebody passed something else."""
    running(ledger)

    with pytest.raises(BadInput, match="no cursor"):
        EventStream(ledger, "s-1", after=text)
