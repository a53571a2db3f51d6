"""Each row's outcome and attempt in a few bytes, for files whose layout leaves them out. No I/O.

Two bytes a row, compressed: rows of a chunk mostly came out alike, so a thousand take a few dozen bytes.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence

from vertexq.results import OUTCOME_RANK, Row

Judgement = tuple[str, int]
"""An outcome and an attempt."""

_OUTCOMES = {rank: outcome for outcome, rank in OUTCOME_RANK.items()}
_MOST = 255


def judgements(rows: Iterable[Row]) -> list[Judgement]:
    """Return what is known of each row."""
    return [(row.outcome, row.attempt) for row in rows]


def pack(judged: Sequence[Judgement]) -> str:
    """Write judgements as text; an attempt above 255 counts as 255."""
    outcomes = bytes(OUTCOME_RANK[outcome] for outcome, _ in judged)
    attempts = bytes(min(attempt, _MOST) for _, attempt in judged)
    return base64.b64encode(zlib.compress(outcomes + attempts, 9)).decode()


def unpack(text: str) -> list[Judgement]:
    """Read what ``pack`` wrote."""
    plain = zlib.decompress(base64.b64decode(text))
    half = len(plain) // 2
    return [(_OUTCOMES[rank], attempt) for rank, attempt in zip(plain[:half], plain[half:], strict=True)]
