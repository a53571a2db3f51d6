"""The ``vertexq`` command."""

from __future__ import annotations

import logging
import sys

from vertexq.cli.app import app
from vertexq.cli.outlet import leave_if_closed, leave_if_unwritable

SHOWN_FRAMES = 4
"""How much of an unexpected error's traceback is shown: where it happened, not how we came there."""


def main() -> None:
    """Run the command line."""
    sys.tracebacklimit = SHOWN_FRAMES
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    leave_if_closed()
    try:
        app(prog_name="vertexq")
    except OSError as error:
        leave_if_unwritable(error)
        raise


__all__ = ["app", "main"]
