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
    ("status", "code", "message", "word"),
    [
        (ROLE_ERROR, 400, "Please use a valid role: user, model.", "INVALID_ARGUMENT"),
        (QUOTA_ERROR, 429, "Quota exceeded.", "RESOURCE_EXHAUSTED"),
        ('X: {"error": {"code": 400, "message": "a:\\n  * b: [C]"}}', 400, "a:\n  * b: [C]", None),
        ({"error": {"code": 503, "message": "Try later."}}, 503, "Try later.", None),
        ({"code": 13, "message": "Internal"}, None, "Internal", None),
        ('X: {"error": {"code": "429", "message": "Slow down."}}', 429, "Slow down.", None),
        ('Quota for {x}: {"error": {"code": 429, "message": "m"}}', 429, "m", None),
        (
            'X: {"error": {"code": 500, "message": ""}}',
            500,
            'X: {"error": {"code": 500, "message": ""}}',
            None,
        ),
        ('X: {"error": {"code": 500}}', 500, 'X: {"error": {"code": 500}}', None),
        ("Service agents are being provisioned.", None, "Service agents are being provisioned.", None),
        ("RESOURCE_EXHAUSTED: quota", 429, "RESOURCE_EXHAUSTED: quota", "RESOURCE_EXHAUSTED"),
        ("UNAVAILABLE: try later", 503, "UNAVAILABLE: try later", "UNAVAILABLE"),
        ("INTERNAL", 500, "INTERNAL", "INTERNAL"),
        ("an INTERNALLY odd thing", None, "an INTERNALLY odd thing", None),
        ('cut off: {"error": {"code": 42', None, 'cut off: {"error": {"code": 42', None),
        (7, None, "7", None),
        (2**70, None, str(2**70), None),
        ('X: {"error": {"code": 429, "message": "m", "status": "NEW_WORD"}}', 429, "m", "NEW_WORD"),
        ('X: {"error": {"code": 429, "message": "m", "status": "two words"}}', 429, "m", None),
        ('X: {"error": {"code": 429, "message": "m", "status": 8}}', 429, "m", None),
    ],
)
def test_a_status_is_read_in_every_form_it_was_seen_in(
    status: object, code: int | None, message: str, word: str | None
) -> None:
    """A prefix and JSON, an object, a word that Google uses for a code, or plain text; its word is kept."""
    assert parse_status(status) == (code, message, word)
