"""Signatures by the Standard Webhooks specification (standardwebhooks.com, version 1, symmetric). No I/O."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence


def signed_headers(message_id: str, body: bytes, *, at_s: int, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the three headers of a message sent at ``at_s`` (Unix seconds); one signature a secret.

    The signature is over ``id.timestamp.body``; a receiver takes the message when one of them is right.
    """
    signatures = " ".join(f"v1,{_sign(secret, message_id, at_s, body)}" for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": signatures}


def _sign(secret: bytes, message_id: str, at_s: int, body: bytes) -> str:
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
