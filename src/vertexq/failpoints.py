"""Named points at which a test may kill the process, to prove that what was committed before is enough.

Nothing happens at a point unless one was armed; ``worker`` arms the one that ``VERTEXQ_FAILPOINT`` names.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from pathlib import Path


class Failpoint(StrEnum):
    """Where a worker may die while it stages and sends, in the order in which it gets there."""

    STAGE_CLAIMED = "stage.claimed"
    STAGE_CHECKED = "stage.checked"
    STAGE_INPUT_UPLOADED = "stage.input-uploaded"
    STAGE_MANIFEST_UPLOADED = "stage.manifest-uploaded"
    STAGE_PART_ENTERED = "stage.part-entered"
    STAGE_DONE = "stage.done"
    CREATE_CLAIMED = "create.claimed"
    CREATE_GRANTED = "create.granted"
    CREATE_INTENDED = "create.intended"
    CREATE_ANSWERED = "create.answered"
    CREATE_BOUND = "create.bound"
    RECONCILE_AMBIGUOUS = "reconcile.ambiguous"
    RECONCILE_LOOKED = "reconcile.looked"
    RECONCILE_SENT_BACK = "reconcile.sent-back"


_armed: dict[Failpoint, Path | None] = {}


def arm(text: str) -> None:
    """Arm the point of ``NAME`` or ``NAME@FILE``, or none for an empty text; raise ``ValueError``."""
    _armed.clear()
    if text:
        name, _, token = text.partition("@")
        _armed[Failpoint(name)] = Path(token) if token else None


def reach(point: Failpoint) -> None:
    """Die by SIGKILL, with everything in this process group, when ``point`` is armed; else do nothing.

    With a file the point fires once: the file is taken away first.
    """
    if point not in _armed:
        return
    token = _armed[point]
    if token is not None:
        try:
            token.unlink()
        except FileNotFoundError:
            return
    os.killpg(os.getpgid(0), signal.SIGKILL)
