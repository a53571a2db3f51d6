"""Waiting for what another process on this machine holds: a lock on a file, a file that is open elsewhere."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def lock_file(path: object) -> int:
    """Open a file that is there to be locked, and make it when it is not there; return its descriptor."""
    return os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def try_lock(descriptor: int) -> bool:
    """Take the lock on an open file (flock, which ends with the descriptor); False when another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def patiently(attempt: Callable[[], _T | None], *, wait_s: float) -> _T | None:
    """Repeat ``attempt`` until it gives something; None when it has not within ``wait_s`` seconds."""
    ends_at = time.monotonic() + wait_s
    while (found := attempt()) is None:
        if time.monotonic() > ends_at:
            return None
        time.sleep(pause_s())
    return found


def pause_s() -> float:
    """Return the seconds before another look: by chance, so that many do not look at once."""
    return random.uniform(0.002, 0.02)
