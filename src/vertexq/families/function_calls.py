"""Functions that a model wants called, as rows hold them: in the form that Gemini's calls have. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Call(msgspec.Struct, gc=False):
    """One call; ``args`` is JSON text."""

    name: str | None
    args: msgspec.Raw
    id: str | None


_encode = msgspec.json.Encoder().encode


def written(calls: Sequence[Call]) -> bytes | None:
    """Return calls as a JSON list; None when there is none."""
    return _encode(calls) if calls else None
