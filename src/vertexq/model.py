"""The values that travel through vertexq: submissions, batches, jobs, counts. Frozen, no I/O.

Instants are ``datetime`` in UTC; durations are seconds as ``float``; money is US dollars, kept as integer
pico-dollars (``_pusd``, 10**-12 USD) wherever it is summed, so that the order of rows never changes a total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from vertexq.states import BatchState, JobState, SubmissionState

PUSD_PER_USD = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsUri:
    """An object, or a prefix, in Cloud Storage."""

    bucket: str
    name: str = ""

    def __str__(self) -> str:
        """Return ``gs://bucket/name``."""
        return f"gs://{self.bucket}/{self.name}"

    def join(self, tail: str) -> GcsUri:
        """Return the object ``tail`` below this prefix; exactly one ``/`` stands between the two."""
        head = self.name.rstrip("/")
        return GcsUri(bucket=self.bucket, name=f"{head}/{tail}" if head else tail)

    @classmethod
    def parse(cls, text: str) -> GcsUri:
        """Read ``gs://bucket/name``; raise ``ValueError`` for anything else."""
        scheme, _, rest = text.partition("://")
        bucket, _, name = rest.partition("/")
        if scheme != "gs" or not bucket:
            raise ValueError(f"{text!r} is not of the form gs://bucket/name")
        return cls(bucket=bucket, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One generation of an object. ``crc32c`` is base64 of the big-endian checksum, as Google sends it."""

    uri: GcsUri
    generation: int
    size_bytes: int
    crc32c: str
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed: a gRPC code and Google's message."""

    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStats:
    """A job's own counters; None where Google says nothing or -1."""

    successful: int | None = None
    failed: int | None = None
    incomplete: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A ``batchPredictionJob`` as Google describes it.

    ``name`` carries the project *number* even when the request used the project's id: compare ``job_id`` and
    ``location``. ``state`` is None when Google sends a word we do not know.
    """

    name: str
    state: JobState | None
    state_text: str
    display_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str = ""
    input_uris: tuple[str, ...] = ()
    output_prefix: str = ""
    output_directory: str = ""
    stats: JobStats = field(default_factory=JobStats)
    error: JobError | None = None
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def job_id(self) -> str:
        """Return the last segment of the name: an int64 as text."""
        return self.name.rpartition("/")[2]


class SourceKind(StrEnum):
    """Where a submission's rows come from."""

    SPOOL = "spool"  # JSON lines kept compressed in the ledger until they are staged
    GCS = "gcs"  # objects in Cloud Storage, read when they are staged
    BIGQUERY = "bigquery"  # a table, whose rows never leave BigQuery before Google's job reads them


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be done about rows that Google's import would refuse, and about answers (``validate``)."""

    split_conflicts: bool = False  # rows of different shapes go into batches of their own
    repair: bool = False  # mend what can be mended without a change of meaning
    set_aside: bool = False  # rows that cannot be sent end as failed, the rest runs
    as_is: bool = False  # the gs:// objects are the input themselves; nothing is uploaded but manifests
    validate: bool = False  # an answer in JSON that is none, or breaks the request's schema, has failed
    resume: bool = False  # the source is a job's output: rows with an answer keep it, the others run

    @property
    def in_place(self) -> bool:
        """Tell whether jobs read the producer's own objects instead of copies."""
        return self.as_is or self.resume


class OnDeadline(StrEnum):
    """What becomes of rows without an answer when the deadline has passed."""

    REPORT = "report"  # they end as missing
    RERUN = "rerun"  # they go into a new batch, with a new deadline of the same length


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When and for how much a submission may run. They may be changed when it is enqueued again."""

    priority: int = 0  # -9 to 9, higher goes first
    budget_pusd: int | None = None
    deadline_s: float | None = None  # counted from the moment of enqueueing
    on_deadline: OnDeadline = OnDeadline.REPORT
    finish_online: int = 0  # when fewer rows than so many are left, they are answered one by one; 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Rows that somebody wants to have tried again: those with one of these outcomes, by name."""

    outcomes: tuple[str, ...]
    model: str = ""  # empty: the model they were sent to


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What rows will take, reckoned from their requests before they are sent.

    ``output_tokens`` is the most they may answer; for ``assumed_rows`` of them, which set no limit, it is an
    assumption. ``cost_pusd`` is None when the model has no price.
    """

    rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    assumed_rows: int = 0
    cost_pusd: int | None = None

    @property
    def tokens(self) -> int:
        """Return all tokens together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubmission:
    """What a producer enqueues. ``fingerprint`` is over everything that decides what is sent and where.

    ``source`` is the gs:// URIs, one a line, or the bq:// address of a table; empty for a spool.
    """

    id: str
    fingerprint: str
    model: str
    store: str
    source_kind: SourceKind
    source: str = ""
    rows: int | None = None  # None until counted
    family: str = ""  # of the model, by name
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the model; see its family
    destination: str = ""  # bq://project.dataset that jobs write tables in; empty: Cloud Storage
    key_field: str = "key"
    project: str = ""  # empty: the worker's
    location: str = ""  # empty: the worker's
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    tenant: str = ""  # whose share of the slots it takes
    template: str = ""  # a request with {{field}}, as JSON, for objects that hold records
    policy: Policy = field(default_factory=Policy)
    terms: Terms = field(default_factory=Terms)
    on_complete: str = ""  # whom to tell at the end: a Celery task, with @queue, or webhook:STORE
    estimate: Estimate | None = None  # None until counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows by outcome; the sum is the number of rows accounted for."""

    succeeded: int = 0
    blocked: int = 0
    failed: int = 0
    quarantined: int = 0
    missing: int = 0

    @property
    def total(self) -> int:
        """Return the number of rows accounted for."""
        return self.succeeded + self.blocked + self.failed + self.quarantined + self.missing

    def __add__(self, other: Counts) -> Counts:
        """Add outcome by outcome."""
        return Counts(
            succeeded=self.succeeded + other.succeeded,
            blocked=self.blocked + other.blocked,
            failed=self.failed + other.failed,
            quarantined=self.quarantined + other.quarantined,
            missing=self.missing + other.missing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens; ``total`` is computed where Google leaves it out.

    ``unpriced`` are those of rows that no price was known for: what they cost is unknown.
    """

    prompt_tokens: int = 0
    output_tokens: int = 0
    thoughts_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0
    unpriced_tokens: int = 0

    def has_cost(self, *, priced: bool) -> bool:
        """Tell whether it is known what the answers cost; ``priced`` says that a price was known beforehand.

        Images have no tokens that a price could be missing for.
        """
        return not self.unpriced_tokens and (priced or self.total_tokens > 0)

    def __add__(self, other: Usage) -> Usage:
        """Add field by field."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            thoughts_tokens=self.thoughts_tokens + other.thoughts_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            unpriced_tokens=self.unpriced_tokens + other.unpriced_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submission as the ledger has it."""

    id: str
    state: SubmissionState
    version: int
    fingerprint: str
    model: str
    store: str
    source_kind: SourceKind
    source: str
    family: str  # empty in submissions from before it was kept
    parameters: Mapping[str, Any]
    destination: str
    key_field: str
    project: str
    location: str
    labels: Mapping[str, str]
    tenant: str
    template: str
    policy: Policy
    terms: Terms
    on_complete: str
    retry: Retry | None  # what somebody wants to have tried again, until that has begun
    estimate: Estimate | None
    deadline_at: datetime | None
    rounds: int  # how often it went on after a deadline
    rows: int | None
    counts: Counts
    quarantined_lines: int
    usage: Usage
    cost_pusd: int
    reason: str
    cancel_requested: bool
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    next_action_at: datetime | None
    attempts: int
    fence: int

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the gs:// URIs; object names hold no line ends (Cloud Storage's naming rules)."""
        return tuple(self.source.split("\n")) if self.source else ()

    @property
    def stores(self) -> tuple[str, ...]:
        """Return the names of the stores; the first is the one that the account is kept by."""
        return tuple(self.store.split(","))

    @property
    def cost_usd(self) -> float | None:
        """Return the actual cost so far, in US dollars; None when rows were answered without a price."""
        return None if self.usage.unpriced_tokens else self.cost_pusd / PUSD_PER_USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One Vertex AI job's worth of rows, as the ledger has it. ``ordinal`` counts from 0."""

    id: str
    submission_id: str
    ordinal: int
    state: BatchState
    version: int
    model: str
    family: str  # the model family's name: jobs of one family share slots
    tenant: str
    priority: int
    project: str
    location: str
    rows: int
    estimate: Estimate | None
    input_uri: str
    input_generation: int
    input_bytes: int
    manifest_uri: str
    attempt: int  # creates tried; counts from 1, 0 before the first
    output_prefix: str  # of the current attempt
    sent_at: datetime | None
    looks: int  # for the job since it was sent; 0 when the answer was clear
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
    found: bytes  # a bit a row: this row's answer is in the store
    successor: str  # the batch that took over rows that are tried again; empty when none did
    round: int  # how many batches have tried these rows before
    repeats: bool  # ranges that were read at the same time held the same row
    online: bool  # its rows are answered one by one instead of by a job
    carried: bytes  # a bit a row: its answer came with the input and is not paid for; empty: none
    priced_as: str  # the model that its own was tuned from, whose price holds; empty: its own
    reason: str
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    next_action_at: datetime | None
    attempts: int  # steps that failed in a row; a success resets it
    fence: int
