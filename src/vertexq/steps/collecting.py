"""Python's garbage collector, put off while rows pass: they hold no cycles, and it would look at each."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def not_collecting() -> Generator[None]:
    """Leave the collector off inside the block, if it was on; memory is bounded by reference counts alone."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
