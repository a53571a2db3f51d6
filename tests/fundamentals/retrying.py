"""What tests of rounds ask of a house: the first round's end, and that ledger and store agree."""

from __future__ import annotations

from tests.fundamentals.house import House
from tests.fundamentals.stopping_house import MODEL, PROMPTS, batches_of, results_of, submission_of
from vertexq import ranks
from vertexq.model import Counts

__all__ = ["MODEL", "PROMPTS", "check_sums", "until_first_round"]


async def until_first_round(house: House, submission_id: str) -> None:
    """Go on until rows of a submission have been handed over to another batch."""
    await house.until(lambda: any(batch.round for batch in batches_of(house, submission_id)))


def check_sums(house: House, submission_id: str, *, store: str = "") -> None:
    """Compare what a submission counts with its batches, with their rows, and with what the store holds."""
    submission = submission_of(house, submission_id)
    ledger = house.services.ledger
    batches = [ledger.batch(one.id) for one in ledger.batches(submission_id)]
    assert submission.counts == sum((batch.counts for batch in batches), Counts())
    assert all(batch.counts == ranks.counts(ranks.unpack(batch.found, rows=batch.rows)) for batch in batches)
    assert submission.counts.total == submission.rows
    stored = results_of(house, submission_id)
    assert {one: getattr(submission.counts, one) for one in stored} == stored
    assert stored.total() == submission.rows
