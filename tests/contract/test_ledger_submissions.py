"""Submissions in the ledger: enqueued once, found again, cancelled, and taken up after a person decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from multiprocessing.pool import Pool

import pytest

from tests.contract.ledger_values import B, S, bound, held, new_submission, running, staging
from vertexq.errors import IdConflict, UnknownSubmission
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.model import Batch, NewSubmission, Submission
from vertexq.states import SubmissionState


def test_a_submission_comes_back_as_it_was_enqueued(ledger: Ledger) -> None:
    """Every field of a new submission is in the ledger, and a hint is due at once."""
    new = new_submission()

    submission, created = ledger.enqueue(new, [b"rows"])

    assert created
    assert all(getattr(submission, one.name) == getattr(new, one.name) for one in fields(NewSubmission))
    assert (submission.state, submission.version, submission.fence) == (S.QUEUED, 1, 0)
    assert submission.next_action_at == submission.created_at
    assert ledger.submission("s-1") == submission


def test_the_same_submission_twice_is_one(ledger: Ledger) -> None:
    """A producer that crashed after it enqueued may enqueue again; the second time changes nothing."""
    first, _ = ledger.enqueue(new_submission(), [b"rows"])

    second, created = ledger.enqueue(new_submission(), [b"rows"])

    assert (second, created) == (first, False)
    assert list(ledger.spool("s-1")) == [b"rows"]
    assert len(ledger.audit(Record.SUBMISSION, "s-1")) == 1


def test_the_same_id_with_other_content_is_refused(ledger: Ledger) -> None:
    """An id means one content for ever; what is there stays as it is."""
    first, _ = ledger.enqueue(new_submission(), [b"rows"])

    with pytest.raises(IdConflict, match=r"'s-1' exists .* other content"):
        ledger.enqueue(new_submission(fingerprint="0" * 64), [b"other"])

    assert ledger.submission("s-1") == first
    assert list(ledger.spool("s-1")) == [b"rows"]


def test_two_processes_that_race_make_one_submission(
    ledger: Ledger, ledger_url: str, processes: Pool
) -> None:
    """Of four processes that enqueue the same id at once exactly one creates it."""
    created = processes.map(_enqueue, [ledger_url] * 4)

    assert sorted(created) == [False, False, False, True]
    assert list(ledger.spool("s-1")) == [b"one", b"two"]


def _enqueue(url: str) -> bool:
    ledger = Ledger.open(url)
    _, created = ledger.enqueue(new_submission(), [b"one", b"two"])
    ledger.close()
    return created


def test_a_spool_that_breaks_off_leaves_nothing(ledger: Ledger) -> None:
    """When the rows cannot be read to their end, there is no submission."""

    def broken() -> Iterator[bytes]:
        yield b"one"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        ledger.enqueue(new_submission(), broken())

    assert ledger.submissions() == []
    assert list(ledger.spool("s-1")) == []


def test_a_spool_is_read_in_order_and_dropped(ledger: Ledger) -> None:
    """Chunks come back as they went in; other work goes on while they are read."""
    ledger.enqueue(new_submission(), [bytes([number]) for number in range(20)])

    chunks: list[bytes] = []
    for chunk in ledger.spool("s-1"):
        chunks.append(chunk)
        ledger.beat("meanwhile")
    ledger.drop_spool("s-1")

    assert chunks == [bytes([number]) for number in range(20)]
    assert list(ledger.spool("s-1")) == []


def test_an_unknown_submission_is_said_to_be_unknown(ledger: Ledger) -> None:
    """The message names what was looked for."""
    with pytest.raises(UnknownSubmission, match="no submission called 's-9'"):
        ledger.submission("s-9")
    with pytest.raises(UnknownSubmission, match="no batch called 'b-9'"):
        ledger.batch("b-9")
    with pytest.raises(UnknownSubmission, match="s-9"):
        ledger.request_cancel("s-9")


def test_submissions_are_listed_with_the_newest_first(ledger: Ledger) -> None:
    """A list can be narrowed to states and to a number."""
    for number in range(3):
        ledger.enqueue(new_submission(f"s-{number}"))
    ledger.request_cancel("s-1")

    assert [one.id for one in ledger.submissions()] == ["s-2", "s-1", "s-0"]
    assert [one.id for one in ledger.submissions(limit=2)] == ["s-2", "s-1"]
    assert [one.id for one in ledger.submissions(states=[S.CANCELLING])] == ["s-1"]


def test_a_queued_submission_is_cancelled_once(ledger: Ledger) -> None:
    """Asking again changes nothing, and the cancel step is due at once."""
    ledger.enqueue(new_submission())

    once = ledger.request_cancel("s-1")
    twice = ledger.request_cancel("s-1")

    assert (once.state, once.cancel_requested) == (S.CANCELLING, True)
    assert once.next_action_at is not None
    assert twice == once


def test_a_cancel_does_not_disturb_the_one_who_stages(ledger: Ledger) -> None:
    """While rows are staged only the flag is set; the worker's next move works and shows it."""
    submission, claim = staging(ledger)

    asked = ledger.request_cancel("s-1")
    seen = ledger.update_submission(submission, claim=claim, attempts=1)

    assert (asked.state, asked.cancel_requested) == (S.STAGING, True)
    assert seen.cancel_requested


@pytest.mark.parametrize("ended", [S.DONE, S.FAILED])
def test_an_ended_submission_cannot_be_cancelled(ledger: Ledger, ended: SubmissionState) -> None:
    """Cancelling what has ended is quiet and changes nothing."""
    running(ledger)
    settling = ledger.move_submission(ledger.submission("s-1"), S.SETTLING)
    done = ledger.move_submission(settling, ended)

    assert ledger.request_cancel("s-1") == done
    assert done.finished_at == done.updated_at


def test_a_cancel_while_settling_is_remembered(ledger: Ledger) -> None:
    """A settling submission may still end well, or find that its rows must be sent again."""
    running(ledger)
    ledger.move_submission(ledger.submission("s-1"), S.SETTLING)

    asked = ledger.request_cancel("s-1")

    assert (asked.state, asked.cancel_requested) == (S.SETTLING, True)


def _parked(ledger: Ledger) -> Submission:
    return ledger.move_submission(ledger.submission("s-1"), S.PARKED, reason="the budget is spent")


def test_enqueueing_a_parked_submission_again_takes_it_up(ledger: Ledger) -> None:
    """One that was never staged starts from its spool."""
    ledger.enqueue(new_submission(), [b"rows"])
    assert _parked(ledger).next_action_at is None

    again, created = ledger.enqueue(new_submission(), [b"rows"])

    assert (again.state, again.reason, created) == (S.QUEUED, "", False)
    assert again.next_action_at is not None
    assert list(ledger.spool("s-1")) == [b"rows"]


def test_taking_up_a_parked_submission_sends_refused_batches_again(ledger: Ledger) -> None:
    """What Google refused becomes ready; what has a job keeps it; all of it is due at once."""
    refused, working = running(ledger, batches=2)
    bound(ledger, working)
    claim = held(ledger, Record.BATCH, refused.id)
    sent = ledger.start_sending(refused, claim=claim, output_prefix="gs://b/o", bounds=Bounds(jobs=9))
    assert isinstance(sent, Batch)
    ledger.move_batch(sent, B.REFUSED, claim=claim, reason="403")
    ledger.release(claim)
    _parked(ledger)

    again, _ = ledger.enqueue(new_submission())

    assert again.state is S.RUNNING
    assert [batch.state for batch in ledger.batches("s-1")] == [B.READY, B.BOUND]
    assert [batch.next_action_at is None for batch in ledger.batches("s-1")] == [
        True,
        False,
    ]  # one waits its turn
    assert [line.to_state for line in ledger.audit(Record.BATCH, refused.id)][-1] == B.READY


def test_racing_producers_take_up_a_parked_submission_once(
    ledger: Ledger, ledger_url: str, processes: Pool
) -> None:
    """Nobody gets an error, and the submission is moved once."""
    ledger.enqueue(new_submission(), [b"one", b"two"])
    _parked(ledger)

    created = processes.map(_enqueue, [ledger_url] * 4)

    assert created == [False] * 4
    states = [line.to_state for line in ledger.audit(Record.SUBMISSION, "s-1")]
    assert states == [S.QUEUED, S.PARKED, S.QUEUED]
