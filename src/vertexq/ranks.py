"""Which rows of a batch have been found, and how well they came out: a byte a row. No I/O.

200,000 rows take 200 kB in memory and a few kB when packed. Byte 0 means "no answer yet"; otherwise the bits
are, from the highest: the outcome's rank plus one; whether the answer is this batch's own or was inherited
from the batch whose row this one tries again; whether the row may be tried again. Without the lowest bit,
"better" is a comparison of two small numbers. Behind the rows, notes may be kept on those that a better
answer can still replace.
"""

from __future__ import annotations

import zlib

from vertexq.model import Counts
from vertexq.results import OUTCOME_RANK, Outcome
from vertexq.retry import row_may_pass

NOT_FOUND = 0
HANDED_OVER = 1
"""The row was given to the batch's successor, which accounts for it."""
_MAY_PASS, _OWN, _LOW = 1, 2, 3
RANK_BYTE: dict[str, int] = {outcome: (rank + 1) << 2 | _OWN for outcome, rank in OUTCOME_RANK.items()}
RETRYABLE = RANK_BYTE[Outcome.FAILED] | _MAY_PASS
"""A failed row whose error may pass."""
_OUTCOME_OF = {RANK_BYTE[outcome] & ~_LOW | low: outcome for outcome in Outcome for low in range(4)}
_CLOSED = bytes(byte & ~_MAY_PASS if byte > HANDED_OVER else byte for byte in range(256))
_VERSION = b"\x02"  # no zlib stream begins so; without it, a byte is the outcome's rank plus one
_FROM_FIRST = bytes([0, *RANK_BYTE.values()]).ljust(256, b"\0")


def byte_of(outcome: Outcome, code: int | None = None) -> int:
    """Return the byte of a batch's own answer; ``code`` is the HTTP status of a failed one."""
    return RETRYABLE if outcome is Outcome.FAILED and row_may_pass(code) else RANK_BYTE[outcome]


def is_better(byte: int, known: int) -> bool:
    """Tell whether an answer replaces the one that is known."""
    return byte >> 1 > known >> 1


OUTDONE = RANK_BYTE[Outcome.MISSING]
"""In a range's own account: an answer came that is worse than an inherited one; the row is answered."""


def outlived(known: int, by: int) -> int:
    """Return the byte of an answer that stays beside a worse one: own, when that one is the batch's own."""
    return known | by & _OWN


def is_own(byte: int) -> bool:
    """Tell whether an answer is the batch's own."""
    return bool(byte & _OWN)


def inherited(byte: int) -> int:
    """Return the byte for a row that another batch has answered so: any own answer as good replaces it."""
    return byte & ~_OWN


_OWN_BYTES = tuple(byte for byte in _OUTCOME_OF if byte & _OWN)
OPEN = frozenset({NOT_FOUND, RETRYABLE, inherited(RETRYABLE)})
"""Rows without an answer, or whose error may pass."""


def outcome_of(byte: int) -> Outcome | None:
    """Return the outcome, inherited or own; None when the row was not found, or was handed over."""
    return _OUTCOME_OF.get(byte)


def answered(ranks: bytearray | bytes) -> int:
    """Count the rows that the batch's own output holds an answer for."""
    return sum(ranks.count(byte) for byte in _OWN_BYTES)


def closed(ranks: bytearray) -> bytearray:
    """Return the state with no row left whose error may pass: nobody tries them again."""
    return bytearray(ranks.translate(_CLOSED))


def empty(rows: int) -> bytearray:
    """Return the state of a batch of ``rows`` rows none of which has been found."""
    return bytearray(rows)


def pack(ranks: bytearray | bytes, notes: bytes = b"") -> bytes:
    """Compress for the ledger and for a store's progress."""
    return _VERSION + zlib.compress(bytes(ranks) + notes if notes else ranks, 1)


def unpack(packed: bytes, *, rows: int) -> bytearray:
    """Read what ``pack`` wrote; nothing means that no row has been found."""
    if not packed:
        return empty(rows)
    found = _plain(packed)[:rows]
    return bytearray(found if packed.startswith(_VERSION) else found.translate(_FROM_FIRST))


def notes(packed: bytes, *, rows: int) -> bytes:
    """Return the notes that ``pack`` was given; nothing when it was given none."""
    return _plain(packed)[rows:] if packed else b""


def counts(ranks: bytearray | bytes) -> Counts:
    """Count rows by outcome, inherited or own; rows not found or handed over are not counted."""
    return Counts(
        **{
            outcome.value: sum(ranks.count(RANK_BYTE[outcome] & ~_LOW | low) for low in range(4))
            for outcome in Outcome
        }
    )


def _plain(packed: bytes) -> bytes:
    return zlib.decompress(packed.removeprefix(_VERSION))
