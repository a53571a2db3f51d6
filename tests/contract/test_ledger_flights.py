"""What is in flight is counted by place and family, on every database."""

from __future__ import annotations

from tests.contract.ledger_values import bound, held, new_batch, running, staging
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.states import BatchState as B
from vertexq.testing.batches import enter_batches


def test_nothing_is_in_flight_in_an_empty_ledger(ledger: Ledger) -> None:
    """No places, not a place with zeros."""
    assert ledger.in_flight() == []


def test_jobs_rows_and_waiting_batches_are_counted_by_place_and_family(ledger: Ledger) -> None:
    """Running, unclear and waiting ones apart; what has ended is not there any more."""
    first, second, third, _ = running(ledger, batches=4)
    bound(ledger, first)
    claim = held(ledger, Record.BATCH, second.id)
    ledger.start_sending(second, claim=claim, output_prefix="gs://b/o", bounds=Bounds(jobs=9))
    ledger.move_batch(bound(ledger, third), B.ENDED)
    submission, claim = staging(ledger, "s-2")
    enter_batches(ledger, submission, [new_batch(0, of="s-2", family="embedding")], claim=claim)

    embedding, gemini = ledger.in_flight()
    assert (embedding.family, embedding.jobs, embedding.waiting) == ("embedding", 0, 1)
    assert (gemini.jobs, gemini.unclear, gemini.rows, gemini.waiting) == (2, 1, 4, 1)
    assert (gemini.project, gemini.location) == ("p", "europe-west4")
