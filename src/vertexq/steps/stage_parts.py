"""Parts on their way: into Cloud Storage, and then as batches into the ledger; each of them once."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Protocol

from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.ids import batch_id
from vertexq.ledger import Claim, NewBatch
from vertexq.model import Estimate, GcsUri, ObjectInfo, Submission
from vertexq.money import priced, together
from vertexq.states import BatchState
from vertexq.steps.parts import Part, StagedFile
from vertexq.steps.putting import put
from vertexq.steps.services import Services
from vertexq.steps.stage_sources import Replaced

MANY_ROWS = 10_000
"""After a part of so many rows all garbage is collected, which takes some 30 ms; else only what is new."""


class Staged(Protocol):
    """A job's input that is where the job will read it: an object, or a table."""

    @property
    def uri(self) -> object:
        """Its address, as text says it."""
        ...

    @property
    def generation(self) -> int:
        """Which state of it was staged."""
        ...

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        ...


class Cancelled(Exception):
    """The submission is to stop; what is staged of it is not sent."""


class Entering:
    """Puts the parts of one submission where they belong, by their order.

    A part that an earlier try uploaded and entered is found by its name and its checksum and left alone; one
    that differs, because a setting or a source has changed since, raises ``Replaced``.
    """

    def __init__(self, services: Services, submission: Submission, claim: Claim, *, again: bool) -> None:
        self._services = services
        self._submission = submission
        self._claim = claim
        self._known = {batch.id: batch for batch in services.ledger.batches(submission.id)}
        self._again = again or bool(self._known)
        self._estimates: list[Estimate] = []
        self.rows = 0
        self.batches = 0

    @property
    def estimate(self) -> Estimate:
        """Return what all parts so far will take; its cost is None when their model has no price."""
        return together(one for one in self._estimates if one.rows) or Estimate()

    def prefix(self) -> GcsUri:
        """Return where the next part's objects go."""
        return self._services.options.staging.join(f"{self._submission.id}/{self.batches:05d}")

    async def put(self, part: Part, staged: Staged | None = None) -> None:
        """Upload a part (``staged`` is its input when that is there already), enter it, drop its files."""
        try:
            if self._services.ledger.submission(self._submission.id).cancel_requested:
                raise Cancelled
            if staged is None and not part.aside:
                staged = await self._upload("input.jsonl", part.input)
                reach(Failpoint.STAGE_INPUT_UPLOADED)
            manifest = await self._upload("manifest.jsonl", part.manifest)
            reach(Failpoint.STAGE_MANIFEST_UPLOADED)
            self._enter(self._batch(part, staged, manifest))
            reach(Failpoint.STAGE_PART_ENTERED)
        finally:
            part.close()
            # it is off while rows pass, and requests over the network may leave cycles
            gc.collect(2 if part.rows >= MANY_ROWS else 1)

    def close(self) -> None:
        """Raise ``Replaced`` when an earlier try entered more parts than there are now."""
        if len(self._known) > self.batches:
            raise Replaced("an earlier try had more parts")

    def _enter(self, new: NewBatch) -> None:
        known = self._known.get(new.id)
        if known is None:
            self._services.ledger.add_batch(self._submission, new, claim=self._claim)
        elif (known.rows, known.input_uri, known.input_generation) != (
            new.rows, new.input_uri, new.input_generation,
        ):  # fmt: skip
            raise Replaced(f"an earlier try made another part of ordinal {new.ordinal}")
        self.rows += new.rows
        self.batches += 1
        if new.estimate is not None:
            self._estimates.append(new.estimate)

    def _batch(self, part: Part, staged: Staged | None, manifest: ObjectInfo) -> NewBatch:
        submission, options = self._submission, self._services.options
        return NewBatch(
            id=batch_id(submission.id, submission.fingerprint, self.batches),
            ordinal=self.batches,
            rows=part.rows,
            input_uri=str(staged.uri) if staged else "",
            input_generation=staged.generation if staged else 0,
            input_bytes=staged.size_bytes if staged else 0,
            manifest_uri=str(manifest.uri),
            project=submission.project or options.project,
            location=submission.location or options.location,
            model=submission.model,
            family=family_for(submission).name,
            tenant=submission.tenant,
            priority=submission.terms.priority,
            estimate=None if part.aside else self._priced(part.estimate),
            labels=submission.labels,
            carried=part.carried,
            priced_as=self._services.prices.base_of(submission.model),
            state=BatchState.ASIDE if part.aside else BatchState.READY,
        )

    def _priced(self, estimate: Estimate) -> Estimate:
        services = self._services
        today, assumed = services.ledger.now().date(), services.options.assumed_output_tokens
        if not family_for(self._submission).writes_text:
            estimate = replace(estimate, assumed_rows=0)
        return priced(estimate, self._submission.model, today, services.prices, assumed)

    async def _upload(self, name: str, file: StagedFile) -> ObjectInfo:
        """Upload a file once: the same bytes stay, other bytes (of an unfinished try) are replaced."""
        return await put(self._services, self.prefix().join(name), file, look_first=self._again)
