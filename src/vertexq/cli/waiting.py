"""Whether a command can wait for what it enqueues."""

from __future__ import annotations

from vertexq.errors import BadInput
from vertexq.settings import NO_LEDGER, Settings


def has_ledger(*, wait: bool) -> bool:
    """Tell whether there is a ledger to ask; raise ``BadInput`` when none is, and ``wait`` is wanted.

    It is asked before anything is enqueued.
    """
    found = Settings.for_producer().ledger_url != NO_LEDGER
    if wait and not found:
        raise BadInput("--wait needs a ledger; set VERTEXQ_LEDGER_URL, or leave --wait out; nothing was sent")
    return found
