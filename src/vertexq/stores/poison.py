"""Rows that a store cannot hold: finding them in a chunk and setting them aside. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vertexq.results import OUTCOME_RANK, Outcome, QuarantinedLine, Row

RAW_BYTES = 1024
"""How much of a refused row is kept in its quarantined line."""

_INT64 = range(-(2**63), 2**63)

Refusal = Callable[[Sequence[Row]], str]
"""Says why rows cannot be held; "" when they can."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A chunk's rows after the refused ones were set aside, and what is kept of those."""

    rows: tuple[Row, ...]
    lines: tuple[QuarantinedLine, ...]
    keys: frozenset[str]


def set_aside(rows: Sequence[Row], refusal: Refusal) -> Mended:
    """Replace each row that ``refusal`` objects to by a bare quarantined one, and keep a line of it.

    When even the bare row is refused its key is at fault: then only the line is kept.
    """
    reasons = {row.key: why for row, why in _refused(rows, refusal)}
    kept = (_bare(row, reasons[row.key]) if row.key in reasons else row for row in rows)
    return Mended(
        rows=tuple(row for row in kept if row.key not in reasons or not refusal((row,))),
        lines=tuple(_line(row, reasons[row.key]) for row in rows if row.key in reasons),
        keys=frozenset(reasons),
    )


def _refused(rows: Sequence[Row], refusal: Refusal) -> Iterator[tuple[Row, str]]:
    why = refusal(rows) if rows else ""
    if not why:
        return
    if len(rows) == 1:
        yield rows[0], why
        return
    middle = len(rows) // 2
    yield from _refused(rows[:middle], refusal)
    yield from _refused(rows[middle:], refusal)


def _bare(row: Row, why: str) -> Row:
    fits = (None if isinstance(value, int) and value not in _INT64 else value for value in row)
    return Row._make(fits)._replace(
        outcome=Outcome.QUARANTINED.value,
        text=None,
        response=None,
        parsed=None,
        function_calls=None,
        extra=None,
        embedding=None,
        embedding_norm=None,
        reason=None,
        finish_reason=None,
        model_version=None,
        processed_at=None,
        error_message=f"the store cannot hold this row: {why}",
    )


def _line(row: Row, why: str) -> QuarantinedLine:
    raw = row.embedding or row.response or row.parsed or (row.text or "").encode(errors="surrogatepass")
    return QuarantinedLine(
        submission_id=row.submission_id,
        batch_id=row.batch_id,
        source_object=row.source_object or "",
        source_generation=row.source_generation or 0,
        source_offset=row.source_offset or 0,
        size_bytes=len(raw),
        reason=f"the store cannot hold this row: {why}",
        raw=raw[:RAW_BYTES],
    )


def unstorable(rows: Sequence[Row]) -> str:
    """Say why no store can hold ``rows``: text that is not Unicode, or an integer over 64 bits."""
    for row in rows:
        for name, value in zip(Row._fields, row, strict=True):
            if isinstance(value, str) and _has_lone_surrogate(value):
                return f"{name} holds a lone surrogate"
            if isinstance(value, int) and value not in _INT64:
                return f"{name} is an integer of more than 64 bits"
            if isinstance(value, bytes) and _is_broken(value):
                return f"{name} is not UTF-8"
    return ""


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_broken(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def beats(row: Row, other: Row) -> bool:
    """Tell whether ``row`` replaces ``other``: a better outcome, or the same and a later attempt."""
    return (OUTCOME_RANK[row.outcome], row.attempt) > (OUTCOME_RANK[other.outcome], other.attempt)


def best_of(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return ``rows`` with the best row of each key; the very same tuple when no key occurs twice."""
    if len({row.key for row in rows}) == len(rows):
        return rows
    best: dict[str, Row] = {}
    for row in rows:
        known = best.get(row.key)
        if known is None or beats(row, known):
            best[row.key] = row
    return tuple(best.values())
