"""Rows that an earlier job has answered: how they look, and why they are not sent without a word. No I/O.

A job's output holds each row's request again, so that it could be enqueued as it is, and everything in it
would be answered, and paid for, a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vertexq.check.faults import Flaw, Rule

_STAMPS = ("status", "processed_time")
_RESULTS = ("embedding", "candidates", "promptFeedback")
ANSWERED = Flaw(
    Rule.ANSWERED,
    "response",
    "the row is of a job's output and has its answer; it would be paid for again",
    "submit the output itself with --resume (gs:// only), or take response and status out to run it anew",
)


def has_answer(record: Mapping[str, Any]) -> bool:
    """Tell whether a row of a job's output has its answer: a response that is not empty, and no error.

    A job that resumes takes such rows over and runs the others (Google's page on resuming batch jobs, read
    2026-11-21, speaks of incomplete and failed rows; what tells them apart is inferred).
    """
    response = record.get("response")
    return isinstance(response, Mapping) and len(response) > 0 and not record.get("status")  # pyright: ignore[reportUnknownArgumentType]


def is_old_output(record: object) -> bool:
    """Tell whether a row was taken from a job's output and has its answer there.

    A producer's own record may have a field ``response``, too; what a job wrote has its stamp beside it, or
    the fields of an answer in it.
    """
    if not isinstance(record, Mapping):
        return False
    row: Mapping[str, Any] = record  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(row.get("request"), Mapping) or not has_answer(row):
        return False
    return any(name in row for name in _STAMPS) or any(name in row["response"] for name in _RESULTS)
