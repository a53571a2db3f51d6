"""The status of a failed row: every form in which Google's error has been seen."""

from __future__ import annotations

import pytest

from vertexq.families.row_status import parse_status

ROLE_ERROR = (
    'Bad Request: {"error": {"code": 400, "message": "Please use a valid role: user, model.", '
    '"status": "INVALID_ARGUMENT"}}'
)
QUOTA_ERROR = (
    'RESOURCE_EXHAUSTED error occurred: {"error": {"code": 429, "message": "Quota exceeded.", '
    '"status": "RESOURCE_EXHAUSTED"}}'
)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (ROLE_ERROR, 400, "Please use a valid role: user, model."),
        (QUOTA_ERROR, 429, "Quota exceeded."),
        ('X: {"error": {"code": 400, "message": "a:\\n  * b: [C]"}}', 400, "a:\n  * b: [C]"),
        ({"error": {"code": 503, "message": "Try later."}}, 503, "Try later."),
        ({"code": 13, "message": "Internal"}, None, "Internal"),
        ('X: {"error": {"code": "429", "message": "Slow down."}}', 429, "Slow down."),
        ('Quota for {x}: {"error": {"code": 429, "message": "m"}}', 429, "m"),
        ('X: {"error": {"code": 500, "message": ""}}', 500, 'X: {"error": {"code": 500, "message": ""}}'),
        ('X: {"error": {"code": 500}}', 500, 'X: {"error": {"code": 500}}'),
        ("Service agents are being provisioned.", None, "Service agents are being provisioned."),
        ("RESOURCE_EXHAUSTED: quota", 429, "RESOURCE_EXHAUSTED: quota"),
        ("UNAVAILABLE: try later", 503, "UNAVAILABLE: try later"),
        ("INTERNAL", 500, "INTERNAL"),
        ("an INTERNALLY odd thing", None, "an INTERNALLY odd thing"),
        ('cut off: {"error": {"code": 42', None, 'cut off: {"error": {"code": 42'),
        (7, None, "7"),
    ],
)
def test_a_status_is_read_in_every_form_it_was_seen_in(
    status: object, code: int | None, message: str
) -> None:
    """A prefix and JSON, an object, a word that Google uses for a code, or plain text."""
    assert parse_status(status) == (code, message)
