"""The ``vertexq`` command."""

from __future__ import annotations

import logging
import sys

from vertexq.cli.app import app

SHOWN_FRAMES = 4
"""How much of an unexpected error's traceback is shown: where it happened, not how we came there."""


def main() -> None:
    """Run the command line."""
    sys.tracebacklimit = SHOWN_FRAMES
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    app(prog_name="vertexq")


__all__ = ["app", "main"]
