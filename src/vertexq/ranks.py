"""Which rows of a batch have been found, and how well they came out: a byte a row. No I/O.

200,000 rows take 200 kB in memory and a few kB when packed. Byte 0 means "no answer yet"; otherwise it is
the outcome's rank plus one, so "better" is a comparison of two small numbers. Behind the rows, notes may be
kept on those that a better answer can still replace.
"""

from __future__ import annotations

import zlib

from vertexq.model import Counts
from vertexq.results import OUTCOME_RANK, Outcome

NOT_FOUND = 0
RANK_BYTE: dict[str, int] = {outcome: rank + 1 for outcome, rank in OUTCOME_RANK.items()}


def empty(rows: int) -> bytearray:
    """Return the state of a batch of ``rows`` rows none of which has been found."""
    return bytearray(rows)


def pack(ranks: bytearray | bytes, notes: bytes = b"") -> bytes:
    """Compress for the ledger and for a store's progress."""
    return zlib.compress(bytes(ranks) + notes if notes else ranks, 1)


def unpack(packed: bytes, *, rows: int) -> bytearray:
    """Read what ``pack`` wrote; nothing means that no row has been found."""
    return bytearray(zlib.decompress(packed)[:rows]) if packed else empty(rows)


def notes(packed: bytes, *, rows: int) -> bytes:
    """Return the notes that ``pack`` was given; nothing when it was given none."""
    return zlib.decompress(packed)[rows:] if packed else b""


def counts(ranks: bytearray | bytes) -> Counts:
    """Count rows by outcome; rows not found are not counted."""
    return Counts(**{outcome.value: ranks.count(RANK_BYTE[outcome]) for outcome in Outcome})
