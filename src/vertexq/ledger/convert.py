"""Rows of the ledger's tables into the model's values, and back. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from vertexq.model import (
    Batch,
    Counts,
    Estimate,
    JobError,
    JobStats,
    NewSubmission,
    OnDeadline,
    Policy,
    Retry,
    SourceKind,
    Submission,
    Terms,
    Usage,
)
from vertexq.states import BatchState, SubmissionState

_SUBMISSION = [field.name for field in fields(Submission)]
_BATCH = [field.name for field in fields(Batch)]


def to_submission(row: RowMapping) -> Submission:
    """Read a submission."""
    values = {name: row[name] for name in _SUBMISSION}
    values |= {
        "state": SubmissionState(row["state"]),
        "source_kind": SourceKind(row["source_kind"]),
        "counts": Counts(**row["counts"]),
        "usage": Usage(**row["usage"]),
        "cancel_requested": bool(row["cancel_requested"]),
        "policy": Policy(**row["policy"]),
        "terms": to_terms(row["terms"]),
        "retry": to_retry(row["retry"]),
        "estimate": to_estimate(row["estimate"]),
    }
    return Submission(**values)


def to_batch(row: RowMapping) -> Batch:
    """Read a batch; ``found`` and ``carried`` are empty when the query left them out."""
    values = {name: row[name] for name in _BATCH if name not in {"found", "carried"}}
    values |= {
        "state": BatchState(row["state"]),
        "counts": Counts(**row["counts"]),
        "usage": Usage(**row["usage"]),
        "stats": JobStats(**row["stats"]),
        "estimate": to_estimate(row["estimate"]),
        "job_error": JobError(**row["job_error"]) if row["job_error"] else None,
        "found": bytes(row["found"]) if "found" in row else b"",
        "carried": bytes(row["carried"]) if "carried" in row else b"",
        "online": bool(row["online"]),
    }
    return Batch(**values)


def to_terms(said: Mapping[str, Any]) -> Terms:
    """Read terms; a submission from before there were any has the usual ones."""
    on_deadline = OnDeadline(said.get("on_deadline", OnDeadline.REPORT))
    values: dict[str, Any] = {**said, "on_deadline": on_deadline}
    return Terms(**values)


def to_retry(said: Mapping[str, Any] | None) -> Retry | None:
    """Read what somebody wants to have tried again."""
    return Retry(outcomes=tuple(said["outcomes"]), model=said["model"]) if said else None


def to_estimate(said: Mapping[str, Any] | None) -> Estimate | None:
    """Read an estimate; None when nothing was counted yet."""
    return Estimate(**said) if said else None


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn values of the model into what the tables hold: value classes become JSON objects."""
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in values.items()
    }


def new_submission_row(new: NewSubmission, now: datetime) -> dict[str, Any]:
    """Return the row of a submission that has just been enqueued."""
    given = {field.name: getattr(new, field.name) for field in fields(NewSubmission)}
    return given | {
        "labels": dict(new.labels),
        "parameters": dict(new.parameters),
        "policy": asdict(new.policy),
        "terms": asdict(new.terms),
        "estimate": asdict(new.estimate) if new.estimate else None,
        "retry": None,
        "deadline_at": deadline_at(new.terms, now),
        "rounds": 0,
        "source_kind": new.source_kind.value,
        "state": SubmissionState.QUEUED.value,
        "version": 1,
        "counts": asdict(Counts()),
        "usage": asdict(Usage()),
        "cost_pusd": 0,
        "quarantined_lines": 0,
        "reason": "",
        "cancel_requested": False,
        "created_at": now,
        "updated_at": now,
        "next_action_at": now,
        "fence": 0,
        "attempts": 0,
    }


def deadline_at(terms: Terms, now: datetime) -> datetime | None:
    """Return when a submission that is enqueued now must have ended; None without a deadline."""
    return None if terms.deadline_s is None else now + timedelta(seconds=terms.deadline_s)
