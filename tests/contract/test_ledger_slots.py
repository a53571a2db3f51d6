"""Slots for running jobs: however many workers race, no more batches are sent than there are slots."""

from __future__ import annotations

from multiprocessing.pool import Pool

from tests.contract.ledger_values import LONG_S, held, new_batch, running, staging
from tests.contract.racing import at_once
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.model import Batch
from vertexq.states import BATCH_ACTIVE
from vertexq.states import BatchState as B
from vertexq.testing.batches import enter_batches

SLOTS = 3


def _send(ledger: Ledger, batch: Batch, *, slots: int = SLOTS) -> Batch | None:
    claim = ledger.claim(Record.BATCH, batch.id, owner="worker", lease_s=LONG_S)
    assert claim is not None
    sent = ledger.start_sending(batch, claim=claim, output_prefix="gs://b/out", bounds=Bounds(jobs=slots))
    return sent if isinstance(sent, Batch) else None


def _active(ledger: Ledger) -> int:
    return sum(batch.state in BATCH_ACTIVE for batch in ledger.batches("s-1"))


def test_eight_threads_never_exceed_the_slots(ledger: Ledger, ledger_url: str) -> None:
    """Each worker has a ledger of its own and a batch of its own; three of them may send."""
    batches = running(ledger, batches=8)
    ledgers = [Ledger.open(ledger_url) for _ in batches]

    sent = at_once(8, lambda number: _send(ledgers[number], batches[number]))
    for one in ledgers:
        one.close()

    assert sum(batch is not None for batch in sent) == SLOTS
    assert _active(ledger) == SLOTS


def test_eight_processes_never_exceed_the_slots(ledger: Ledger, ledger_url: str, processes: Pool) -> None:
    """Four processes with two batches each race for three slots."""
    running(ledger, batches=8)

    sent = processes.map(_send_alone, [(ledger_url, number) for number in range(8)], chunksize=1)

    assert sum(sent) == SLOTS
    assert _active(ledger) == SLOTS


def _send_alone(given: tuple[str, int]) -> bool:
    url, number = given
    ledger = Ledger.open(url)
    sent = _send(ledger, ledger.batches("s-1")[number])
    ledger.close()
    return sent is not None


def test_what_is_sent_says_so_before_the_call(ledger: Ledger) -> None:
    """The intent, the attempt and where the output goes are committed together."""
    (batch,) = running(ledger)

    sent = _send(ledger, batch)

    assert isinstance(sent, Batch)
    assert (sent.state, sent.attempt, sent.output_prefix, sent.looks) == (B.SENDING, 1, "gs://b/out", 0)
    assert sent.sent_at is not None
    assert ledger.batch(batch.id) == sent


def test_a_batch_without_a_slot_stays_as_it_was(ledger: Ledger) -> None:
    """No slot is no error: the batch waits, unchanged."""
    first, second = running(ledger, batches=2)
    _send(ledger, first, slots=1)

    assert _send(ledger, second, slots=1) is None
    waiting = ledger.batches("s-1")[1]
    assert (waiting.state, waiting.version, waiting.attempt) == (B.READY, second.version, 0)


def test_a_slot_is_free_again_when_the_job_has_ended(ledger: Ledger) -> None:
    """Ambiguous and bound batches hold their slot; an ended one does not."""
    first, second = running(ledger, batches=2)
    sent = _send(ledger, first, slots=1)
    assert isinstance(sent, Batch)
    claim = held(ledger, Record.BATCH, second.id)

    def may_send() -> bool:
        sent = ledger.start_sending(second, claim=claim, output_prefix="gs://b/2", bounds=Bounds(jobs=1))
        return isinstance(sent, Batch)

    ambiguous = ledger.move_batch(sent, B.AMBIGUOUS)
    assert not may_send()
    bound = ledger.move_batch(ambiguous, B.BOUND, job_name="projects/1/locations/l/batchPredictionJobs/2")
    assert not may_send()
    ledger.move_batch(bound, B.ENDED)
    assert may_send()


def test_families_and_places_have_slots_of_their_own(ledger: Ledger) -> None:
    """A limit counts the jobs of one family in one project and location."""
    submission, claim = staging(ledger)
    others = [new_batch(1, family="embedding"), new_batch(2, location="us-central1")]
    enter_batches(ledger, submission, [new_batch(0), *others], claim=claim)

    assert all(_send(ledger, batch, slots=1) for batch in ledger.batches("s-1"))
