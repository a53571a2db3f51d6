"""The outbox: what is put there stays until it is taken, by one worker at a time; ends are told once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from tests.contract.ledger_values import LONG_S, RUN_OUT_S, S, held, new_submission, staging
from vertexq.errors import LeaseLost
from vertexq.ledger import Delivery, Ledger, NewDelivery, OutboxRange, Record
from vertexq.results import SourceRange
from vertexq.states import SubmissionState

TARGET = "webhook:hook"
SOURCE = SourceRange(submission_id="s-1", batch_id="b-1", object_name="gs://b/o", generation=7, start=5)


def message(name: str = "m-1", *, target: str = TARGET, submission: str = "s-1") -> NewDelivery:
    """Return something to be told."""
    return NewDelivery(
        id=name, kind="vertexq.rows", target=target, submission_id=submission, body=b'{"n": 1}'
    )


def put(ledger: Ledger, *messages: NewDelivery) -> None:
    """Put messages into the outbox, whatever is there."""
    ledger.post("hook", SOURCE, OutboxRange(position=9, fence=1), messages, admit=lambda _known: None)


def take(ledger: Ledger, *, lease_s: float = LONG_S, limit: int = 10) -> list[Delivery]:
    """Take what is due."""
    return ledger.take_deliveries(TARGET, owner="w", lease_s=lease_s, limit=limit)


def test_a_message_is_there_with_its_range_position(ledger: Ledger) -> None:
    """Both are one transaction, and come back as they were."""
    after = OutboxRange(position=1 << 40, fence=3, state=bytes(range(256)))
    ledger.post("hook", SOURCE, after, [message()], admit=lambda _known: None)

    assert ledger.outbox_range("hook", SOURCE.id) == after
    assert ledger.outbox_range("other", SOURCE.id) is None
    (taken,) = take(ledger)
    assert (taken.id, taken.size_bytes, taken.attempts) == ("m-1", 8, 0)
    assert ledger.delivery_body(taken) == b'{"n": 1}'


def test_what_is_not_admitted_leaves_nothing(ledger: Ledger) -> None:
    """The one who judges sees where the range is, and its refusal takes everything back."""
    seen: list[OutboxRange | None] = []

    def refuse(known: OutboxRange | None) -> None:
        seen.append(known)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        ledger.post("hook", SOURCE, OutboxRange(position=9, fence=1), [message()], admit=refuse)

    assert seen == [OutboxRange(position=5, fence=0)]
    assert ledger.outbox_range("hook", SOURCE.id) is None
    assert take(ledger) == []


def test_a_message_put_twice_is_there_once(ledger: Ledger) -> None:
    """Also once it was delivered: the receiver has seen that id."""
    put(ledger, message())
    ledger.note_delivered(take(ledger)[0])

    put(ledger, message())

    assert take(ledger) == []


def test_two_workers_never_hold_the_same_delivery(ledger: Ledger) -> None:
    """Six threads take forty messages, three at a time: each message once."""
    put(ledger, *(message(f"m-{number}") for number in range(40)))

    def work(_number: int) -> list[str]:
        mine: list[str] = []
        while taken := take(ledger, limit=3):
            mine += [one.id for one in taken]
        return mine

    with ThreadPoolExecutor(6) as pool:
        found = [name for mine in pool.map(work, range(6)) for name in mine]

    assert sorted(found) == sorted(f"m-{number}" for number in range(40))


def test_a_dead_workers_delivery_comes_back_and_its_late_note_is_ignored(ledger: Ledger) -> None:
    """The lease ran out, somebody else has it: what the first one says about it counts no more."""
    put(ledger, message())
    (first,) = take(ledger, lease_s=RUN_OUT_S)
    (second,) = take(ledger)

    ledger.put_off_delivery(first, wait_s=LONG_S, reason="late")
    ledger.note_delivered(second)

    with pytest.raises(LeaseLost, match="was taken over"):
        ledger.delivery_body(first)
    assert second.fence > first.fence
    assert [(one.delivered, one.waiting, one.reason) for one in ledger.told("s-1")] == [(1, 0, "")]


def test_a_failed_try_waits_and_counts(ledger: Ledger) -> None:
    """It is due again when its wait is over, with one attempt more."""
    put(ledger, message())
    ledger.put_off_delivery(take(ledger)[0], wait_s=LONG_S, reason="HTTP 500")
    waiting = take(ledger)

    ledger.deliver_again("s-1")
    ledger.put_off_delivery(take(ledger)[0], wait_s=-1, reason="HTTP 500")

    assert waiting == []
    assert [one.attempts for one in take(ledger)] == [1]


def test_what_was_let_go_is_due_at_once(ledger: Ledger) -> None:
    """A worker that stops gives back what it has not tried."""
    put(ledger, message())
    taken = take(ledger)
    ledger.let_go_of(taken)

    assert [one.attempts for one in take(ledger)] == [0]


def test_the_reason_that_is_told_is_the_latest_failure_s(ledger: Ledger) -> None:
    """Not the one that comes last in the alphabet; once all is delivered there is none."""
    put(ledger, message("m-1"), message("m-2"))
    first, second = take(ledger)
    ledger.put_off_delivery(first, wait_s=RUN_OUT_S, reason="zero bytes came back")
    ledger.put_off_delivery(second, wait_s=RUN_OUT_S, reason="502 Bad Gateway")

    assert [one.reason for one in ledger.told("s-1")] == ["502 Bad Gateway"]

    for one in take(ledger):
        ledger.note_delivered(one)
    assert [one.reason for one in ledger.told("s-1")] == [""]


def test_a_target_that_is_gone_gets_no_more_of_this_submission(ledger: Ledger) -> None:
    """Neither what waits nor what comes later; another submission is not concerned."""
    put(ledger, message("m-1"), message("m-2"), message("m-3", submission="s-2"))
    first, *_ = take(ledger, limit=1)
    ledger.abandon_delivery(first, reason="410 Gone", gone=True)

    put(ledger, message("m-4"))

    assert [one.id for one in take(ledger)] == ["m-3"]
    assert [(one.abandoned, one.waiting) for one in ledger.told("s-1")] == [(3, 0)]
    assert ledger.deliver_again("s-1") == 3


def test_a_held_target_rests_and_others_do_not(ledger: Ledger) -> None:
    """Neither what is there nor what comes meanwhile goes to it, until the rest is over."""
    put(ledger, message("m-1"), message("m-2", target="webhook:other"))
    ledger.hold_target(TARGET, wait_s=LONG_S)
    put(ledger, message("m-3"))

    resting = (take(ledger), ledger.remind_deliveries(resend_after_s=0))
    ledger.hold_target(TARGET, wait_s=0)

    assert resting == ([], ["webhook:other"])
    assert [one.id for one in take(ledger)] == ["m-1", "m-3"]


def test_a_hint_is_sent_for_what_is_due_and_not_at_every_sweep(ledger: Ledger) -> None:
    """Once in a while for each target, and at once when the worker that had it is dead."""
    put(ledger, message("m-1"), message("m-2"), message("m-3", target="task:app.done@celery"))
    first = ledger.remind_deliveries(resend_after_s=60)
    again = ledger.remind_deliveries(resend_after_s=60)
    take(ledger, lease_s=RUN_OUT_S)

    assert first == ["task:app.done@celery", TARGET]
    assert again == []
    assert ledger.remind_deliveries(resend_after_s=0) == ["task:app.done@celery", TARGET]


@pytest.mark.parametrize(("to", "told"), [(S.REJECTED, True), (S.PARKED, True), (S.RUNNING, False)])
def test_the_end_of_a_submission_is_told_in_the_move_itself(
    ledger: Ledger, to: SubmissionState, *, told: bool
) -> None:
    """Who is to be told has a delivery as soon as the submission rests, and none before."""
    ledger.enqueue(replace(new_submission(), on_complete="app.tasks.done@reports"), [b"rows"])
    claim = held(ledger, Record.SUBMISSION, "s-1")
    submission = ledger.move_submission(ledger.submission("s-1"), S.STAGING, claim=claim)
    ledger.move_submission(submission, to, claim=claim, reason="because")

    found = ledger.take_deliveries("task:app.tasks.done@reports", owner="w", lease_s=LONG_S, limit=9)

    events = [orjson.loads(ledger.delivery_body(one)) for one in found]
    assert [event["type"] for event in events] == ([f"vertexq.submission.{to}"] if told else [])
    assert [(event["data"]["id"], event["data"]["reason"]) for event in events] == [("s-1", "because")] * told


def test_nobody_is_told_of_a_submission_that_names_nobody(ledger: Ledger) -> None:
    """Most submissions have no ``on_complete``."""
    submission, claim = staging(ledger)
    ledger.move_submission(submission, S.REJECTED, claim=claim)

    assert ledger.told("s-1") == []


def test_a_move_that_fails_tells_nobody(ledger: Ledger) -> None:
    """Of two that end a submission one wins, and one event is there."""
    ledger.enqueue(replace(new_submission(), on_complete="app.done"))
    known = ledger.submission("s-1")
    ledger.move_submission(known, S.REJECTED)

    with pytest.raises(Exception, match="somebody else moved it"):
        ledger.move_submission(known, S.REJECTED)

    assert [one.waiting for one in ledger.told("s-1")] == [1]
