"""Whoever is killed, at any moment, leaves the ledger as it was before or after, never between."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from tests.contract.ledger_values import B, held, new_batch, new_submission, running, staging
from vertexq.ledger import Bounds, Claim, Ledger, Record
from vertexq.model import Submission

KEEPS_S = 30.0
"""How long a process may take to start or to end."""


def _kill_inside(act: Callable[..., None], *given: object) -> None:
    """Run ``act`` in a process of its own and kill that process once it says that it is in the middle."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    victim = context.Process(target=act, args=(there, *given))
    victim.start()
    assert here.poll(KEEPS_S)
    assert here.recv() == "inside"
    victim.kill()
    victim.join(KEEPS_S)
    assert victim.exitcode == -signal.SIGKILL


def _stay(pipe: Connection) -> None:
    """Say that we are in the middle, and stay there."""
    pipe.send("inside")
    while True:
        signal.pause()


def test_a_producer_killed_while_it_enqueues_leaves_nothing(ledger: Ledger, ledger_url: str) -> None:
    """Submission and spool are one transaction; its locks go with the process."""
    _kill_inside(_enqueue_half, ledger_url)

    assert ledger.submissions() == []
    assert list(ledger.spool("s-1")) == []
    assert ledger.enqueue(new_submission(), [b"rows"])[1]


def _enqueue_half(pipe: Connection, url: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        _stay(pipe)

    Ledger.open(url).enqueue(new_submission(), chunks())


def test_a_worker_killed_between_two_batches_leaves_the_first(ledger: Ledger, ledger_url: str) -> None:
    """The submission is still being staged, its spool is there, and another worker enters what lacks."""
    submission, claim = staging(ledger)

    _kill_inside(_add_one_and_stay, ledger_url, submission, claim)

    assert ledger.submission("s-1") == submission
    assert list(ledger.spool("s-1")) == [b"rows"]
    assert [ledger.add_batch(submission, new_batch(number), claim=claim) for number in (0, 1)] == [
        False,
        True,
    ]


def _add_one_and_stay(pipe: Connection, url: str, submission: Submission, claim: Claim) -> None:
    Ledger.open(url).add_batch(submission, new_batch(0), claim=claim)
    _stay(pipe)


def test_a_worker_killed_between_intent_and_answer_leaves_the_intent(ledger: Ledger, ledger_url: str) -> None:
    """Whoever comes next sees that a paid call may have been made, and where its output would be."""
    (batch,) = running(ledger)

    _kill_inside(_send_and_stay, ledger_url, batch.id)

    left = ledger.batch(batch.id)
    assert (left.state, left.attempt, left.output_prefix) == (B.SENDING, 1, "gs://bucket/out/1")
    assert ledger.claim(Record.BATCH, batch.id, owner="worker-2", lease_s=60) is None


def _send_and_stay(pipe: Connection, url: str, batch_id: str) -> None:
    ledger = Ledger.open(url)
    claim = held(ledger, Record.BATCH, batch_id)
    ledger.start_sending(
        ledger.batch(batch_id), claim=claim, output_prefix="gs://bucket/out/1", bounds=Bounds(jobs=1)
    )
    _stay(pipe)
