"""The ledger's own values: records, claims, new batches, output ranges, due work. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

from vertexq.model import Counts, Estimate, JobError, JobStats, Retry, Terms, Usage
from vertexq.states import BatchState


class Record(StrEnum):
    """What can be claimed and moved."""

    SUBMISSION = "submission"
    BATCH = "batch"
    RANGE = "range"  # of a batch's output; claimed, never moved
    OPERATION = "operation"  # of an endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A lease on a record. ``fence`` is higher than that of every claim before it."""

    record: Record
    id: str
    owner: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A staged batch that is about to enter the ledger."""

    id: str
    ordinal: int
    rows: int
    input_uri: str
    input_generation: int
    input_bytes: int
    manifest_uri: str
    project: str
    location: str
    model: str
    family: str = "gemini"
    tenant: str = ""
    priority: int = 0
    estimate: Estimate | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    state: BatchState = BatchState.READY  # or ASIDE
    round: int = 0
    found: bytes = b""  # what an earlier batch has found of these rows
    rest_s: float = 0.0  # how long it may not be sent yet
    online: bool = False
    carried: bytes = b""
    priced_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRange:
    """Bytes ``start`` to ``end`` (exclusive) of one generation of an output object, to be ingested once.

    Of a table (``bq://``) they are rows, as many as ``size_bytes`` says, as they were at ``generation``, an
    instant in milliseconds since 1970.
    """

    batch_id: str
    object_name: str
    generation: int
    start: int
    end: int
    size_bytes: int
    crc32c: str
    done: bool = False
    early: bool = False  # an object that the job wrote while it was running

    @property
    def id(self) -> str:
        """Return one line of text that names the range for ever."""
        return f"{self.batch_id} {self.object_name}#{self.generation}@{self.start}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A record that waits for its next step."""

    record: Record
    id: str
    state: str
    project: str = ""
    location: str = ""
    online: bool = False  # a batch whose rows are answered without a job


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One move of one record."""

    at: datetime
    from_state: str
    to_state: str
    version: int
    actor: str
    reason: str


class SubmissionFields(TypedDict, total=False):
    """What may be changed beside a submission's state."""

    rows: int | None
    counts: Counts
    quarantined_lines: int
    usage: Usage
    cost_pusd: int
    estimate: Estimate | None
    terms: Terms
    deadline_at: datetime | None
    rounds: int
    retry: Retry | None
    cancel_requested: bool
    reason: str
    attempts: int
    next_action_at: datetime | None


class BatchFields(TypedDict, total=False):
    """What may be changed beside a batch's state."""

    attempt: int
    output_prefix: str
    sent_at: datetime | None
    looks: int
    job_name: str
    job_state: str
    job_state_since: datetime | None
    job_error: JobError | None
    output_directory: str
    stats: JobStats
    counts: Counts
    quarantined_lines: int
    usage: Usage
    cost_pusd: int
    found: bytes
    successor: str
    repeats: bool
    reason: str
    attempts: int
    next_action_at: datetime | None
