"""crc32c as Cloud Storage uses it. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, cast

import google_crc32c

# google-crc32c has no types; taken as Any it does not spoil ours.
_crc32c: Any = google_crc32c

extend = cast("Callable[[int, bytes], int]", _crc32c.extend)
"""Return the checksum of what ``crc`` (0: nothing) stands for followed by ``chunk``."""


def crc32c_text(value: int) -> str:
    """Return a checksum as Google writes it: base64 of the big-endian bytes."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()
