"""Whatever form an error answer has, its message, its word and its wait are found."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from vertexq.errors import ApiError, NotFound, PreconditionFailed, Refused, Throttled, Unavailable
from vertexq.google.envelope import Complaint, api_error, read_complaint

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def said(body: object, **headers: str) -> Complaint:
    """Read an answer whose body is JSON, text or bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_complaint(raw, {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW)


def test_the_envelope_is_read() -> None:
    """Message and status of Google's usual form."""
    body = {"error": {"code": 404, "message": "The PublisherModel x does not exist.", "status": "NOT_FOUND"}}

    assert said(body) == Complaint(message="The PublisherModel x does not exist.", code="NOT_FOUND")
    assert said([body]) == said(body)


def test_details_are_read() -> None:
    """ErrorInfo gives the word, RetryInfo the wait, violations join the message."""
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"},
        {"fieldViolations": [{"field": "labels", "description": "upper case"}]},
        {"violations": [{"subject": "project:1", "description": "60 a minute"}]},
        "nonsense",
    ]
    body = {"error": {"message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": details}}

    assert said(body) == Complaint(
        message="Quota exceeded.; labels: upper case; project:1: 60 a minute",
        code="RATE_LIMIT_EXCEEDED",
        retry_after_s=17.5,
    )


def test_the_old_form_of_storage_is_read() -> None:
    """Its word is the first error's reason."""
    errors = [{"reason": "conditionNotMet", "domain": "global", "message": "At least one…"}]

    assert said({"error": {"code": 412, "message": "At least one…", "errors": errors}}) == Complaint(
        message="At least one…", code="conditionNotMet"
    )


def test_the_form_of_oauth_is_read() -> None:
    """Token servers put the word where others have an object."""
    assert said({"error": "invalid_grant", "error_description": "revoked"}) == Complaint(
        message="revoked", code="invalid_grant"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"<!DOCTYPE html><title>x</title><style>p {}</style><h1>502</h1>\n<p>Bad gateway",
            "x 502 Bad gateway",
        ),
        (b"Not Found", "Not Found"),
        (b"", ""),
        (b"\xff\x00\x1b[31mred", "� [31mred"),
        (b"[]", "[]"),
        (b'{"error": 7}', '{"error": 7}'),
    ],
)
def test_other_bodies_are_told_as_text(body: bytes, message: str) -> None:
    """Tags, styles and control characters are left out."""
    assert said(body).message == message


def test_a_message_stays_short_and_on_one_line() -> None:
    """What a server sends cannot flood or forge a log."""
    message = said({"error": {"message": "line\r\nERROR forged\x1b[2J" + "x" * 5000}}).message

    assert message.startswith("line ERROR forged [2Jxxx")
    assert len(message) == 1000


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        ((NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 90.0),
        ((NOW - timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0.0),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait_s: float | None) -> None:
    """A date in the past means at once; anything else is not there."""
    assert said({}, Retry_After=header).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Refused),
        (400, Refused),
        (401, Refused),
        (403, Refused),
        (404, NotFound),
        (408, Unavailable),
        (409, Refused),
        (412, PreconditionFailed),
        (416, Refused),
        (429, Throttled),
        (499, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_status_has_its_error(status: int, kind: type[ApiError]) -> None:
    """The tree in errors.py, status by status."""
    error = api_error(status, b"", {}, tried="GET https://host/path")

    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith(f"GET https://host/path was answered with {status}: (no message)")


def test_a_rate_limit_said_with_403_is_throttling() -> None:
    """Storage and BigQuery say it this way."""
    body = json.dumps({"error": {"message": "slow", "errors": [{"reason": "rateLimitExceeded"}]}}).encode()

    assert isinstance(api_error(403, body, {}, tried="GET x"), Throttled)


def test_an_error_says_what_to_do() -> None:
    """A refusal for want of a permission carries Google's sentence and ours."""
    body = {"error": {"message": "Permission 'x' denied", "status": "PERMISSION_DENIED"}}
    error = api_error(403, json.dumps(body).encode(), {}, tried="POST https://host/v1/jobs")

    assert str(error) == (
        "POST https://host/v1/jobs was answered with 403 PERMISSION_DENIED: Permission 'x' denied "
        "(grant what is missing to the account of these credentials, or use another account)"
    )
