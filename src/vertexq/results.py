"""What lands in a store: outcomes, rows, chunks with their position; and what is read back. No I/O."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from vertexq.errors import BadInput

TRUNCATED: Final = "truncated"
"""Our reason on a vector of a text of which the model has read the beginning only."""
_CUT_OFF = frozenset({"MAX_TOKENS", "max_tokens", "length"})  # Gemini's word, Claude's, that of open models


class Outcome(StrEnum):
    """What became of a row."""

    SUCCEEDED = "succeeded"  # the model answered
    BLOCKED = "blocked"  # the model or a filter declined to answer; final
    FAILED = "failed"  # an error, with Google's message
    QUARANTINED = "quarantined"  # an answer came back that cannot be read or trusted
    MISSING = "missing"  # no answer came back


def outcomes_of(asked: Collection[str]) -> frozenset[Outcome]:
    """Return outcomes by their words, of which one may stand alone; raise ``BadInput`` for other words."""
    words = [asked] if isinstance(asked, str) else list(asked)
    if unknown := sorted(set(words) - set(Outcome)):
        raise BadInput(f"{', '.join(map(repr, unknown))} is no outcome; there are {', '.join(Outcome)}")
    return frozenset(map(Outcome, words))


OUTCOME_RANK: dict[str, int] = {
    Outcome.MISSING: 0,
    Outcome.QUARANTINED: 1,
    Outcome.FAILED: 2,
    Outcome.BLOCKED: 3,
    Outcome.SUCCEEDED: 4,
}
"""A row's outcome may be replaced by one of higher rank, or of the same rank and a later attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRange:
    """A range of bytes of one generation of one output object, as a store's progress knows it."""

    submission_id: str
    batch_id: str
    object_name: str  # gs://bucket/name
    generation: int
    start: int = 0

    @property
    def id(self) -> str:
        """Return one line of text that names the range for ever."""
        return f"{self.batch_id} {self.object_name}#{self.generation}@{self.start}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a range is in a store: bytes committed, and our own notes committed with them.

    ``position`` is the absolute offset of the first byte not yet committed. ``state`` is opaque to the store.
    """

    position: int
    state: bytes = b""


class Row(NamedTuple):
    """One row on its way into a store; the columns of ``vertexq_results`` in order.

    A plain tuple because a million of them are made a minute. ``response``, ``parsed``, ``function_calls``,
    ``embedding`` (a list of numbers) and ``extra`` are JSON text as bytes, or None;
    ``processed_at`` is Google's RFC 3339 text or None; ``source_offset`` is where the line starts, in bytes.
    """

    submission_id: str
    key: str
    batch_id: str
    outcome: str
    text: str | None
    finish_reason: str | None
    error_code: int | None
    error_message: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    thoughts_tokens: int | None
    cached_tokens: int | None
    total_tokens: int | None
    cost_usd: float | None
    model_version: str | None
    processed_at: str | None
    response: bytes | None
    source_object: str | None
    source_generation: int | None
    source_offset: int | None
    attempt: int
    reason: str | None = None
    parsed: bytes | None = None
    function_calls: bytes | None = None
    embedding: bytes | None = None
    embedding_norm: float | None = None
    extra: bytes | None = None


class QuarantinedLine(NamedTuple):
    """A line that could not be read or matched. ``raw`` is its first kilobyte."""

    submission_id: str
    batch_id: str
    source_object: str
    source_generation: int
    source_offset: int
    size_bytes: int
    reason: str
    raw: bytes

    def to_json(self) -> dict[str, Any]:
        """Return the line as a JSON object; ``raw`` is base64."""
        return {**self._asdict(), "raw": b64encode(self.raw).decode()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What a store commits at once: rows, quarantined lines, and the position after them.

    ``start`` must equal the store's committed position. No key occurs twice in ``rows``. ``replacing`` holds
    the keys whose earlier row (written by an earlier chunk) this chunk may replace; every other key is new as
    far as the ledger knows. A store that sets rows aside commits what ``restate`` makes of their keys in the
    place of ``progress.state``.
    """

    source: SourceRange
    start: int
    progress: Progress
    rows: tuple[Row, ...] = ()
    quarantined: tuple[QuarantinedLine, ...] = ()
    replacing: frozenset[str] = frozenset()
    restate: Callable[[frozenset[str]], bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row's result as a producer reads it from a store."""

    submission_id: str
    key: str
    batch_id: str
    outcome: Outcome
    text: str | None
    finish_reason: str | None
    error_code: int | None
    error_message: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    thoughts_tokens: int | None
    cached_tokens: int | None
    total_tokens: int | None
    cost_usd: float | None
    model_version: str | None
    processed_at: datetime | None
    response: dict[str, Any] | None
    source_object: str | None
    source_generation: int | None
    source_offset: int | None
    attempt: int
    reason: str | None = None
    parsed: Any = None
    function_calls: list[dict[str, Any]] | None = None
    embedding: list[float] | None = None
    embedding_norm: float | None = None
    extra: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the model answered."""
        return self.outcome is Outcome.SUCCEEDED

    @property
    def blocked(self) -> bool:
        """Tell whether the model or a filter declined to answer; ``reason`` is Google's word for it."""
        return self.outcome is Outcome.BLOCKED

    @property
    def truncated(self) -> bool:
        """Tell whether a limit of tokens broke an answer off, or kept a model from reading a whole text."""
        return self.finish_reason in _CUT_OFF or self.reason == TRUNCATED


RESULT_COLUMNS: tuple[str, ...] = Row._fields
