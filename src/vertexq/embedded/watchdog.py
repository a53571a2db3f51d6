"""The watchdog: a program that ends a server whose starter died without stopping it.

``python watchdog.py PID SIGNAL GRACE_S``, standard library only. Its standard input is a pipe that its
starter holds: a byte on it means "stand down", its end without a byte that the starter is dead.
"""

from __future__ import annotations

import os
import select
import sys
import time

LOOK_S = 0.5


def alive(pid: int) -> bool:
    """Tell whether a process with this id exists; a zombie does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def orphaned(pid: int, pipe: int) -> bool:
    """Wait until the starter stands us down or ``pid`` is gone (False), or the starter is dead (True)."""
    while alive(pid):
        ready, _, _ = select.select([pipe], [], [], LOOK_S)
        if ready:
            return not os.read(pipe, 1)
    return False


def main(pid: int, signal_number: int, grace_s: float) -> None:
    """Watch over ``pid``; once its starter is dead, give it ``grace_s`` seconds and then the signal."""
    os.setsid()
    if not orphaned(pid, sys.stdin.fileno()):
        return
    end = time.monotonic() + grace_s
    while alive(pid) and time.monotonic() < end:
        time.sleep(min(LOOK_S, grace_s))
    if alive(pid):
        os.kill(pid, signal_number)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
