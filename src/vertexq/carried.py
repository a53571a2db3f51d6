"""Rows whose answer came with the input: a bit a row, so that 200,000 rows take 25 kB. No I/O."""

from __future__ import annotations


def with_row(bits: bytes | bytearray, index: int) -> bytearray:
    """Return the bits with row ``index`` among the carried ones; changes and returns a ``bytearray``."""
    grown = bits if isinstance(bits, bytearray) else bytearray(bits)
    if len(grown) <= index >> 3:
        grown.extend(bytes((index >> 3) + 1 - len(grown)))
    grown[index >> 3] |= 1 << (index & 7)
    return grown


def covering(bits: bytes | bytearray, rows: int) -> bytes:
    """Return the bits for all of ``rows`` rows, as they are kept; nothing when no row is carried."""
    return bytes(bits).ljust((rows + 7) >> 3, b"\0") if bits else b""


def count(bits: bytes | bytearray) -> int:
    """Count the carried rows."""
    return int.from_bytes(bits).bit_count()
