"""What polls ask of the ledger: windows of a place, many looks in one transaction, and who is on duty."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.contract.ledger_values import RUN_OUT_S, B, bound, running
from vertexq.ledger import Ledger
from vertexq.ledger.watched import Look, Watched
from vertexq.model import Batch, JobStats

PLACE = ("p", "europe-west4")
SKEW_S = 600.0


def _bound(ledger: Ledger, count: int, *, due: int) -> list[Batch]:
    """Return bound batches; the first of them are due, the others in an hour."""
    now = ledger.now()
    found = [bound(ledger, batch) for batch in running(ledger, batches=count)]
    return [
        ledger.update_batch(batch, next_action_at=now + timedelta(hours=0 if number < due else 1))
        for number, batch in enumerate(found)
    ]


def _look(batch: Batch, ledger: Ledger, *, news: bool) -> Look:
    return Look(
        id=batch.id, version=batch.version, next_action_at=ledger.now() + timedelta(minutes=5),
        job_state="JOB_STATE_RUNNING", job_state_since=ledger.now(), stats=JobStats(successful=7),
        output_directory="gs://bucket/out", attempts=0, reason="", news=news,
    )  # fmt: skip


def test_polls_find_bound_batches_of_their_place(ledger: Ledger) -> None:
    """Only bound ones, only when their time has come, only of that project and location."""
    first, second, _ready = running(ledger, batches=3)
    now = ledger.now()
    ledger.update_batch(bound(ledger, first), next_action_at=now, found=b"\x01")
    ledger.update_batch(bound(ledger, second), next_action_at=now + timedelta(hours=1))

    (found,) = ledger.poll_due("p", "europe-west4", limit=10)

    assert (found.id, found.found) == (first.id, b"")
    assert ledger.poll_due("p", "europe-west4", limit=0) == []
    assert ledger.poll_due("p", "us-central1", limit=10) == []
    assert ledger.poll_due("q", "europe-west4", limit=10) == []


def test_a_window_counts_what_a_list_from_the_oldest_due_batch_would_show(ledger: Ledger) -> None:
    """Bound batches of the place since then, due or not; without a due one there is no window."""
    _bound(ledger, 3, due=1)

    window = ledger.poll_window(*PLACE, skew_s=SKEW_S)

    assert window is not None
    assert (window.due, window.bound) == (1, 3)
    assert [one.due for one in ledger.expected(window)] == [True, False, False]
    assert ledger.poll_window("p", "us-central1", skew_s=SKEW_S) is None


def test_a_window_begins_before_the_oldest_batch_that_is_due(ledger: Ledger) -> None:
    """By as much as clocks may differ, and not at older batches that are not due."""
    first, second = running(ledger, batches=2)
    bound(ledger, first)
    ledger.update_batch(bound(ledger, second), next_action_at=ledger.now())

    window = ledger.poll_window(*PLACE, skew_s=SKEW_S)

    assert window is not None
    assert window.since == second.created_at - timedelta(seconds=SKEW_S)


def test_looks_with_news_change_a_batch_and_others_only_its_time(ledger: Ledger) -> None:
    """All in one transaction; a look without news gets in nobody's way, as the version stays."""
    old, same = _bound(ledger, 2, due=2)

    late = ledger.note_looks([_look(old, ledger, news=True), _look(same, ledger, news=False)])
    (changed,) = ledger.watched([old.id])
    after = ledger.batch(same.id)

    assert late == 0
    assert (changed.version, changed.job_state, changed.stats) == (
        old.version + 1, "JOB_STATE_RUNNING", JobStats(successful=7),
    )  # fmt: skip
    assert after == replace(same, next_action_at=after.next_action_at, updated_at=after.updated_at)
    assert ledger.poll_due(*PLACE, limit=10) == []


def test_a_look_that_comes_too_late_changes_nothing(ledger: Ledger) -> None:
    """The batch has ended meanwhile, or somebody has seen more."""
    (batch,) = _bound(ledger, 1, due=1)
    ended = ledger.move_batch(batch, B.ENDED)

    assert ledger.note_looks([_look(batch, ledger, news=True), _look(ended, ledger, news=False)]) == 2
    assert ledger.batch(batch.id) == ended
    assert ledger.watched([batch.id]) == []
    assert ledger.bound_batches([batch.id]) == []


def test_what_is_watched_is_a_part_of_the_batch(ledger: Ledger) -> None:
    """Read on its own, or taken from a whole one."""
    (batch,) = _bound(ledger, 1, due=1)

    assert ledger.watched([batch.id]) == [Watched.of(batch)]
    assert ledger.bound_batches([batch.id]) == [batch]


def test_one_at_a_time_is_on_duty(ledger: Ledger) -> None:
    """Until it is over, or was not kept for so long that its holder must be dead."""
    duty = ledger.take_duty("poll p l", lease_s=60.0)
    assert duty is not None
    assert ledger.take_duty("poll p l", lease_s=60.0) is None
    assert ledger.take_duty("poll p m", lease_s=60.0) is not None

    kept = ledger.keep_duty(duty)
    assert kept is not None
    ledger.end_duty(kept)
    again = ledger.take_duty("poll p l", lease_s=60.0)
    assert again is not None


def test_a_duty_that_was_taken_over_is_not_kept(ledger: Ledger) -> None:
    """Its old holder neither renews nor ends it."""
    asleep = ledger.take_duty("poll p l", lease_s=60.0)
    assert asleep is not None
    awake = ledger.take_duty("poll p l", lease_s=RUN_OUT_S)
    assert awake is not None

    ledger.end_duty(replace(asleep, at=asleep.at - timedelta(seconds=1)))

    assert ledger.keep_duty(replace(asleep, at=asleep.at - timedelta(seconds=1))) is None
    assert ledger.keep_duty(awake) is not None
