"""The words with which Gemini says how an answer ended, and their numbers. No I/O.

From the discovery document of aiplatform v1, revision 20261106 (``Candidate.finishReason``,
``PromptFeedback.blockReason``), whose order is that of the numbers; some services send those.
"""

from __future__ import annotations

from typing import Final

STOP: Final = "STOP"
MAX_TOKENS: Final = "MAX_TOKENS"

FINISH_REASONS = (
    "FINISH_REASON_UNSPECIFIED",
    STOP,
    MAX_TOKENS,
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "UNEXPECTED_TOOL_CALL",
    "NO_IMAGE",
    "MALFORMED_RESPONSE",
    "CONTINUATION",
    "TOO_MANY_TOOL_CALLS",
)
BLOCK_REASONS = (
    "BLOCKED_REASON_UNSPECIFIED",
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "JAILBREAK",
)

ORDINARY = frozenset({None, STOP, FINISH_REASONS[0]})
"""Reasons that say nothing: the answer is whole."""

BLOCKING = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)
"""Reasons for which a filter took the answer away, or broke it off."""


def finish_word(said: str | int | None) -> str | None:
    """Return a ``finishReason`` as Google's word; a number that is newer than us stays a number."""
    return _word(said, FINISH_REASONS)


def block_word(said: str | int | None) -> str | None:
    """Return a ``blockReason`` as Google's word; None when nothing was blocked."""
    word = _word(said, BLOCK_REASONS)
    return None if word == BLOCK_REASONS[0] else word or None


def _word(said: str | int | None, words: tuple[str, ...]) -> str | None:
    if isinstance(said, int):
        return words[said] if 0 <= said < len(words) else str(said)
    return said
