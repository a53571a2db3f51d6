"""What a command does when its standard output takes nothing: one sentence and an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO, cast

from vertexq.cli.reporting import ExitCode


def leave_if_closed() -> None:
    """Leave when standard output is closed: the next file that is opened would take its place."""
    if cast("TextIO | None", sys.stdout) is None:
        _leave("it is closed")


def leave_if_unwritable(error: OSError) -> None:
    """Leave when standard output is what ``error`` is about; a full disk elsewhere is left alone."""
    if _refuses():
        _let_go()
        _leave(error.strerror or type(error).__name__)


@contextmanager
def reader_may_leave() -> Generator[None]:
    """End quietly when the reader of standard output has enough, as ``head`` does."""
    try:
        yield
    except BrokenPipeError:
        if not _refuses():
            raise
        _let_go()


def _refuses() -> bool:
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _let_go() -> None:
    """Send what is still held for standard output nowhere, or Python complains of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):
        os.dup2(nowhere, sys.stdout.fileno())


def _leave(why: str) -> NoReturn:
    todo = "see where it goes; what was enqueued goes on"
    print(f"error: standard output cannot be written: {why}; {todo}", file=sys.stderr)  # noqa: T201
    sys.exit(ExitCode.UNREACHABLE)
