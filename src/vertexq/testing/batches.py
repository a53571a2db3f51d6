"""Batches that are in the ledger at once, for tests and benchmarks: nothing was staged for them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert

from vertexq.ledger import Claim, Ledger, NewBatch, Record
from vertexq.ledger.base import first_audit
from vertexq.ledger.schema import audit, batches
from vertexq.ledger.staging import new_row
from vertexq.ledger.times import database_now
from vertexq.model import Estimate, Submission
from vertexq.states import BatchState


def enter_batches(
    ledger: Ledger, submission: Submission, new: Sequence[NewBatch], *, claim: Claim
) -> Submission:
    """Enter batches of a submission that is being staged, due at once, and set it running."""
    rows, estimate = sum(batch.rows for batch in new), submission.estimate or Estimate()
    running = ledger.finish_staging(submission, claim=claim, rows=rows, estimate=estimate)
    with ledger._writing() as connection:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        now = database_now(connection)
        made = [new_row(submission.id, batch, now) for batch in new]
        for row in made:
            row["next_action_at"] = now if row["state"] == BatchState.READY else None
        if made:
            connection.execute(insert(batches), made)
            lines = [first_audit(Record.BATCH, row, now, claim.owner) for row in made]
            connection.execute(insert(audit), lines)
    return running
