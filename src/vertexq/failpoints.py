"""Named points at which a test may kill the process, to prove that what was committed before is enough.

Nothing happens at a point unless one was armed; ``worker`` arms the one that ``VERTEXQ_FAILPOINT`` names.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Failpoint(StrEnum):
    """Where a worker may die, in the order in which it gets there."""

    STAGE_CLAIMED = "stage.claimed"
    STAGE_CHECKED = "stage.checked"
    STAGE_INPUT_UPLOADED = "stage.input-uploaded"
    STAGE_MANIFEST_UPLOADED = "stage.manifest-uploaded"
    STAGE_PART_ENTERED = "stage.part-entered"
    STAGE_DONE = "stage.done"
    TABLE_PINNED = "table.pinned"
    TABLE_SEEN = "table.seen"
    TABLE_COPIED = "table.copied"
    TABLE_PART_MADE = "table.part-made"
    TABLE_SUCCESSOR_MADE = "table.successor-made"
    CREATE_CLAIMED = "create.claimed"
    CREATE_GRANTED = "create.granted"
    CREATE_INTENDED = "create.intended"
    CREATE_ANSWERED = "create.answered"
    CREATE_BOUND = "create.bound"
    RECONCILE_AMBIGUOUS = "reconcile.ambiguous"
    RECONCILE_LOOKED = "reconcile.looked"
    RECONCILE_SENT_BACK = "reconcile.sent-back"
    INGEST_CLAIMED = "ingest.claimed"
    INGEST_COPIED = "ingest.copied"
    INGEST_PINNED = "ingest.pinned"
    INGEST_RANGE_TAKEN = "ingest.range-taken"
    INGEST_READ = "ingest.read"
    INGEST_COMMITTING = "ingest.committing"
    INGEST_COMMITTED = "ingest.committed"
    INGEST_RANGE_READ = "ingest.range-read"
    INGEST_RANGE_FINISHED = "ingest.range-finished"
    INGEST_DONE = "ingest.done"
    SETTLE_CLAIMED = "settle.claimed"
    SETTLE_SETTLING = "settle.settling"
    SETTLE_ACCOUNTED = "settle.accounted"
    SETTLE_FINISHED = "settle.finished"
    SETTLE_DONE = "settle.done"
    RERUN_CLAIMED = "rerun.claimed"
    RERUN_UPLOADED = "rerun.uploaded"
    RERUN_HANDED_OVER = "rerun.handed-over"
    RERUN_RUNNING = "rerun.running"
    OPERATE_CLAIMED = "operate.claimed"
    OPERATE_INTENDED = "operate.intended"
    OPERATE_ANSWERED = "operate.answered"
    OPERATE_RUNNING = "operate.running"
    ONLINE_CLAIMED = "online.claimed"
    ONLINE_BEGUN = "online.begun"
    ONLINE_ANSWERED = "online.answered"
    ONLINE_WRITTEN = "online.written"
    ONLINE_ENDED = "online.ended"


@dataclass(slots=True)
class _Armed:
    """Points that begin with ``prefix``; ``left`` of them are to be reached before one fires."""

    prefix: str
    left: int
    token: Path | None


_armed: list[_Armed] = []


def arm(text: str) -> None:
    """Arm a point, or none for an empty text; raise ``ValueError`` for a name that no point has.

    ``NAME`` fires whenever it is reached, ``NAME@FILE`` once, while FILE is there. ``ingest#3`` is the third
    point reached in this process whose name begins with ``ingest``, ``#3`` the third of all.
    """
    _armed.clear()
    if not text:
        return
    name, _, token = text.partition("@")
    prefix, counted, number = name.partition("#")
    if not counted:
        prefix = Failpoint(name).value
    elif not number.isdecimal() or not any(point.startswith(prefix) for point in Failpoint):
        raise ValueError(f"{name!r} names no point; it is NAME, #NUMBER or PREFIX#NUMBER")
    _armed.append(_Armed(prefix, int(number or 1), Path(token) if token else None))


def reach(point: Failpoint) -> None:
    """Die by SIGKILL, with everything in this process group, when ``point`` is armed; else do nothing.

    With a file the point fires once: the file is taken away first.
    """
    for armed in _armed:
        if point.startswith(armed.prefix):
            armed.left -= 1
            if armed.left <= 0 and _is_live(armed.token):
                os.killpg(os.getpgid(0), signal.SIGKILL)


def _is_live(token: Path | None) -> bool:
    if token is None:
        return True
    try:
        token.unlink()
    except FileNotFoundError:
        return False
    return True
