"""Ids: of submissions, of batches (which double as Google labels) and of attempts."""

from __future__ import annotations

import re
import secrets
from base64 import b32encode
from hashlib import blake2b

from vertexq.errors import BadInput

SUBMISSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def new_submission_id() -> str:
    """Return a fresh id: ``s-`` and 16 letters and digits, 80 random bits."""
    return "s-" + _base32(secrets.token_bytes(10))


def new_operation_id() -> str:
    """Return a fresh id of an order to an endpoint: ``o-`` and 16 letters and digits, 80 random bits."""
    return "o-" + _base32(secrets.token_bytes(10))


def checked_submission_id(text: str) -> str:
    """Return ``text`` when it can be the id of a submission, or of an order; raise ``BadInput`` otherwise."""
    if not isinstance(text, str) or not SUBMISSION_ID.fullmatch(text):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadInput(
            f"{text!r} cannot be an id: use 1 to 63 letters, digits, '.', '_' or '-', "
            "beginning with a letter or a digit"
        )
    return text


def batch_id(submission_id: str, fingerprint: str, ordinal: int) -> str:
    """Return the id of a submission's batch ``ordinal``: the same every time it is staged.

    It is also the job's label, so it has only lower-case letters, digits and ``-``, and at most 64 of them
    (labels, aiplatform v1 discovery document).
    """
    digest = blake2b(f"{submission_id}\0{fingerprint}".encode(), digest_size=10).digest()
    return f"b-{_base32(digest)}-{ordinal}"


def attempt_tag(attempt: int) -> str:
    """Return a directory name for one attempt: ``a1-k3j2`` and so on; no two attempts share one."""
    return f"a{attempt}-{_base32(secrets.token_bytes(5))}"


def _base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").lower()
