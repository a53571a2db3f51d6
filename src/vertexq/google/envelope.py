"""Google's error answers, read into our errors: new and old JSON envelopes, HTML and plain text. No I/O.

The envelope: https://cloud.google.com/apis/design/errors; the old form with ``errors[].reason``:
https://cloud.google.com/storage/docs/json_api/v1/status-codes (both read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from vertexq.errors import ApiError, NotFound, PreconditionFailed, Refused, Throttled, Unavailable
from vertexq.google.messages import items, mapping
from vertexq.retry import asked_s

_MESSAGE_CHARS = 1_000
_SLOW_DOWN = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_ADVICE = {
    401: "check the credentials",
    403: "grant what is missing to the account of these credentials, or use another account",
    404: "check the name, the project and the location",
    429: "try again later, or ask for more quota",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What an error answer says: Google's message, its word for the reason, and when to come back."""

    message: str = ""
    code: str = ""
    retry_after_s: float | None = None


def api_error(
    status: int, body: bytes, headers: Mapping[str, str], *, tried: str, now: datetime | None = None
) -> ApiError:
    """Return the error for an answer with ``status``; ``tried`` is the call, like ``GET https://…``."""
    complaint = read_complaint(body, headers, now=now or datetime.now(UTC))
    kind = _kind(status, complaint.code)
    said = complaint.message or "(no message)"
    advice = _ADVICE.get(status)
    return kind(
        f"{tried} was answered with {status} {complaint.code}".rstrip()
        + f": {said}"
        + (f" ({advice})" if advice else ""),
        status=status,
        code=complaint.code,
        retry_after_s=complaint.retry_after_s,
        said=complaint.message,
    )


def read_complaint(body: bytes, headers: Mapping[str, str], *, now: datetime) -> Complaint:
    """Read what the server said. Nothing of an unknown form is an error: the text itself is the message."""
    error = _envelope(body)
    details = [mapping(detail) for detail in items(error.get("details"))]
    waits_s = [asked_s(headers.get("Retry-After"), now), *map(_retry_delay_s, details)]
    known_s = [wait_s for wait_s in waits_s if wait_s is not None]
    return Complaint(
        message=_message(error, details) if error else _plain(body),
        code=_code(error, details),
        retry_after_s=max(known_s) if known_s else None,
    )


def _kind(status: int, code: str) -> type[ApiError]:
    special: dict[int, type[ApiError]] = {404: NotFound, 412: PreconditionFailed, 429: Throttled}
    if status in special:
        return special[status]
    if status == 403 and code in _SLOW_DOWN:  # noqa: PLR2004  (storage and BigQuery say it this way)
        return Throttled
    return Unavailable if status in {408, 499} or status >= 500 else Refused  # noqa: PLR2004


def _envelope(body: bytes) -> Mapping[str, object]:
    try:
        said: object = orjson.loads(body)
    except ValueError:
        return {}
    whole = mapping(next(iter(items(said)), said))  # streaming methods wrap it in a list
    error = whole.get("error")
    if isinstance(error, str):  # the OAuth form
        return {"message": whole.get("error_description", error), "status": error}
    return mapping(error)


def _message(error: Mapping[str, object], details: Iterable[Mapping[str, object]]) -> str:
    violations = [
        f"{violation.get('field') or violation.get('subject', '')}: {violation.get('description', '')}"
        for detail in details
        for name in ("fieldViolations", "violations")
        for violation in map(mapping, items(detail.get(name)))
    ]
    return clean("; ".join([str(error.get("message", "")), *violations]))


def _code(error: Mapping[str, object], details: Iterable[Mapping[str, object]]) -> str:
    reasons = [detail.get("reason") for detail in details if "ErrorInfo" in str(detail.get("@type"))]
    old = [mapping(entry).get("reason") for entry in items(error.get("errors"))]
    words = [word for word in (*reasons, error.get("status"), *old) if isinstance(word, str) and word]
    return clean(words[0])[:100] if words else ""


def _retry_delay_s(detail: Mapping[str, object]) -> float | None:
    found = _DURATION.fullmatch(str(detail.get("retryDelay")))
    return float(found[1]) if found else None


def _plain(body: bytes) -> str:
    text = body[:20_000].decode("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", text)
    return clean(re.sub(r"<[^>]*>", " ", text))[:300]


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters, of at most 1,000 characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_MESSAGE_CHARS]
