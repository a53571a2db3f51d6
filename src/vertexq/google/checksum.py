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

_POLYNOMIAL = 0x82F63B78  # CRC-32C (RFC 3720, appendix B.4), its bits in the order of the shift register


def crc32c_text(value: int) -> str:
    """Return a checksum as Google writes it: base64 of the big-endian bytes."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def combine(first: int, second: int, second_bytes: int) -> int:
    """Return the checksum of two pieces, one behind the other, from the checksums of each.

    A checksum followed by zeros is a linear function of its 32 bits, so n zero bytes are one matrix over
    GF(2), made of squares: O(log n).
    """
    step = _one_zero_byte()
    while second_bytes and first:
        if second_bytes & 1:
            first = _times(step, first)
        step = [_times(step, column) for column in step]
        second_bytes >>= 1
    return first ^ second


def _one_zero_byte() -> list[int]:
    """Return, for each bit of a checksum, what eight zero bits behind it make of it."""
    return [_shifted(1 << bit) for bit in range(32)]


def _shifted(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


def _times(matrix: list[int], vector: int) -> int:
    product = 0
    for bit, column in enumerate(matrix):
        if vector >> bit & 1:
            product ^= column
    return product
