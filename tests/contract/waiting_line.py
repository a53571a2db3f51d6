"""Thousands of submissions whose batches wait for their turn, written into a ledger in one go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert, select, update

from tests.contract.ledger_values import LONG_S, running
from vertexq.ledger import Bounds, Ledger, Record
from vertexq.ledger.engine import open_engine
from vertexq.ledger.schema import batches, submissions
from vertexq.model import Batch
from vertexq.states import BatchState as B

PROJECT, LOCATION = "p", "europe-west4"


@dataclass
class Line:
    """A ledger with a line of batches in one place, and the one worker that sends them."""

    ledger: Ledger
    url: str

    def join(self, name: str, *, tenant: str, times: int = 1, each: int = 1, priority: int = 0) -> None:
        """Let ``times`` submissions of ``each`` batches wait; later ones join behind earlier ones."""
        running(self.ledger, name, batches=each)
        engine = open_engine(self.url)
        with engine.begin() as connection:
            (submission,) = connection.execute(select(submissions).where(submissions.c.id == name)).mappings()
            ours = connection.execute(select(batches).where(batches.c.submission_id == name)).mappings().all()
            others = [name if number == 0 else f"{name}-{number}" for number in range(times)]
            if times > 1:
                connection.execute(insert(submissions), [{**submission, "id": one} for one in others[1:]])
                connection.execute(
                    insert(batches),
                    [
                        {
                            **row,
                            "id": f"b-{one}-{row['ordinal']}",
                            "submission_id": one,
                            "created_at": row["created_at"] + timedelta(microseconds=number),
                        }
                        for number, one in enumerate(others[1:])
                        for row in ours
                    ],
                )
            connection.execute(
                update(batches)
                .where(batches.c.submission_id.in_(others[:1] if times == 1 else others))
                .values(tenant=tenant, priority=priority, next_action_at=None)
            )
        engine.dispose()

    def next(self, *, slots: int, shares: dict[str, float] | None = None) -> list[str]:
        """Hand out what may be handed out; return the submissions."""
        bounds = Bounds(jobs=slots)
        ids = self.ledger.hand_out(PROJECT, LOCATION, bounds=bounds, shares=shares or {})
        return [self.ledger.batch(one).submission_id for one in ids]

    def send(self, *, slots: int, shares: dict[str, float] | None = None) -> list[Batch]:
        """Hand out and send what may be sent; return it."""
        ids = self.ledger.hand_out(PROJECT, LOCATION, bounds=Bounds(jobs=slots), shares=shares or {})
        return [self._sent(one) for one in ids]

    def end(self, batch: Batch) -> None:
        """Let a job end, so that its slot is free."""
        bound = self.ledger.move_batch(
            batch, B.BOUND, job_name="projects/1/locations/l/batchPredictionJobs/1"
        )
        self.ledger.move_batch(bound, B.ENDED)

    def _sent(self, batch_id: str) -> Batch:
        claim = self.ledger.claim(Record.BATCH, batch_id, owner="worker", lease_s=LONG_S)
        assert claim is not None
        sent = self.ledger.start_sending(
            self.ledger.batch(batch_id), claim=claim, output_prefix="gs://b/1", bounds=Bounds(jobs=10**6)
        )
        assert isinstance(sent, Batch)
        self.ledger.release(claim)
        return sent
