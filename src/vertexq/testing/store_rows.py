"""Rows, ranges and chunks for tests of stores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Row, SourceRange

SUBMISSION = "sub-1"
STEP_BYTES = 1000
"""How far one chunk of ``chunk_at`` moves its range."""

_EMPTY: dict[str, Any] = dict.fromkeys(Row._fields)


def source_range(
    batch_id: str = "batch-1", *, start: int = 0, submission_id: str = SUBMISSION
) -> SourceRange:
    """Return a range of an object named after its batch."""
    return SourceRange(
        submission_id=submission_id,
        batch_id=batch_id,
        object_name=f"gs://bucket/out/{batch_id}/predictions.jsonl",
        generation=1_700_000_000_000_001,
        start=start,
    )


def row(key: str, **values: Any) -> Row:
    """Return a row that succeeded at the first attempt; what is not given is null."""
    given: dict[str, Any] = {**_EMPTY, "submission_id": SUBMISSION, "batch_id": "batch-1", "attempt": 1}
    given |= {"key": key, "outcome": "succeeded", **values}
    return Row(**given)


def full_row(key: str) -> Row:
    """Return a row with a value in every column."""
    return Row(
        submission_id=SUBMISSION,
        key=key,
        batch_id="batch-1",
        outcome=Outcome.SUCCEEDED.value,
        text=f"an answer to {key}",
        finish_reason="STOP",
        error_code=3,
        error_message="a message",
        prompt_tokens=11,
        output_tokens=12,
        thoughts_tokens=13,
        cached_tokens=5,
        total_tokens=36,
        cost_usd=0.000123456789,
        model_version="gemini-2.5-flash",
        processed_at="2026-11-21T10:11:12.345678+00:00",
        response=b'{"candidates": [{"content": {"parts": [{"text": "an answer"}]}}], "n": 1}',
        source_object="gs://bucket/out/batch-1/predictions.jsonl",
        source_generation=1_700_000_000_000_001,
        source_offset=4_611_686_018_427_387_904,
        attempt=1,
        reason="MAX_TOKENS",
        parsed=b'{"answer": [1, 2.5, null, "\xe6\x97\xa5"]}',
        function_calls=b'[{"name": "look_up", "args": {"days": 3}}]',
        embedding=b"[0.5, -0.25, 2.0]",
        embedding_norm=2.0766559657295187,
        extra=b'{"city": "Z\xc3\xbcrich", "sold": 12}',
    )


def chunk(
    *rows: Row,
    source: SourceRange | None = None,
    start: int = 0,
    replacing: Iterable[str] = (),
    quarantined: tuple[QuarantinedLine, ...] = (),
    state: bytes = b"",
) -> Chunk:
    """Return a chunk of ``STEP_BYTES`` bytes from ``start``."""
    return Chunk(
        source=source or source_range(),
        start=start,
        progress=Progress(position=start + STEP_BYTES, state=state),
        rows=rows,
        quarantined=quarantined,
        replacing=frozenset(replacing),
    )


def bad_line(offset: int, *, batch_id: str = "batch-1", raw: bytes = b"not json") -> QuarantinedLine:
    """Return a quarantined line."""
    return QuarantinedLine(
        submission_id=SUBMISSION,
        batch_id=batch_id,
        source_object=f"gs://bucket/out/{batch_id}/predictions.jsonl",
        source_generation=1_700_000_000_000_001,
        source_offset=offset,
        size_bytes=len(raw),
        reason="not JSON",
        raw=raw,
    )


def chunks_of(source: SourceRange, *, chunks: int, rows: int, text_bytes: int = 20) -> Iterator[Chunk]:
    """Cut a made-up range: each chunk has ``rows`` rows, one quarantined line and its number as state.

    The first row of every chunk but the first repeats, at a later attempt, the first row of the chunk before.
    """
    for number in range(chunks):
        keys = [f"{source.batch_id}-{number}-{index}" for index in range(rows)]
        made = [row(key, batch_id=source.batch_id, text="x" * text_bytes) for key in keys]
        again = [f"{source.batch_id}-{number - 1}-0"] if number else []
        made += [row(key, batch_id=source.batch_id, text="again", attempt=2) for key in again]
        yield chunk(
            *made,
            source=source,
            start=source.start + number * STEP_BYTES,
            replacing=again,
            quarantined=(bad_line(number, batch_id=source.batch_id),),
            state=str(number).encode(),
        )
