"""Writers of a file store that are killed before or after their n-th change of the disk, for every n.

``python -m tests.contract.dying_shelf DIRECTORY`` lets one writer after the other die, each in its own folder
and one change later, looks at what it left, lets another one go on, and prints how many died.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vertexq.stores.jsonl_lines import JsonLines
from vertexq.stores.layout import Layout
from vertexq.stores.parts_local import LocalShelf
from vertexq.stores.parts_store import PartsStore
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, bad_line, chunk, row, source_range

ONE, TWO = source_range("one"), source_range("two")
CHUNKS = (
    chunk(row("a", outcome="failed"), row("b"), source=ONE, quarantined=(bad_line(1),)),
    chunk(row("c"), source=ONE, start=STEP_BYTES, quarantined=(bad_line(2),)),
    chunk(row("a", attempt=2), row("d"), source=TWO, replacing=["a"]),
    chunk(row("b", attempt=1), row("e"), source=TWO, start=STEP_BYTES),  # b: read at the same time
)
EXPECTED = {"a": 2, "b": 1, "c": 1, "d": 1, "e": 1}


class DyingShelf(LocalShelf):
    """Dies at its n-th change: before an odd one, after an even one."""

    def __init__(self, root: Path, last: int) -> None:
        super().__init__(root)
        self._left = last

    def put(self, folder: str, name: str, data: BinaryIO) -> int:
        """Write the file."""
        with self._deadly():
            return super().put(folder, name, data)

    def swap(self, folder: str, record: str, data: bytes, *, version: int) -> bool:
        """Replace the record."""
        with self._deadly():
            return super().swap(folder, record, data, version=version)

    def remove(self, folder: str, name: str) -> None:
        """Remove the file."""
        with self._deadly():
            super().remove(folder, name)

    @contextmanager
    def _deadly(self) -> Generator[None]:
        self._count_down()
        yield
        self._count_down()

    def _count_down(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def opened(directory: Path, *, last: int = 0) -> PartsStore:
    """Return a store whose writer dies at its ``last`` change; with 0 it lives."""
    return PartsStore(f"jsonl:///{directory}", DyingShelf(directory, last), JsonLines(Layout()))


def write(store: PartsStore) -> None:
    """Go on where the store is, to the end."""
    with store:
        for made in CHUNKS:
            if store.progress(made.source).position == made.start:
                store.write(made, fence=1)
        store.finish(SUBMISSION, repeats=True)


def look(store: PartsStore) -> dict[str, int]:
    """Return the attempt of each key; no key may be there twice."""
    found = list(store.results(SUBMISSION))
    attempts = {result.key: result.attempt for result in found}
    assert len(attempts) == len(found), "a key came twice"
    return attempts


def main(directory: Path) -> None:
    """Let writers die until one lives."""
    died = 0
    while _in_a_child(opened(directory / str(died), last=died + 1)) == -signal.SIGKILL:
        store = opened(directory / str(died))
        left = look(store)
        assert left.keys() <= EXPECTED.keys()
        assert _in_a_child(store) == 0
        assert look(store) == EXPECTED
        assert len(list(store.quarantine(SUBMISSION))) == 2
        died += 1
    assert look(opened(directory / str(died))) == EXPECTED
    sys.stdout.write(f"{died}\n")


def _in_a_child(store: PartsStore) -> int:
    """Write in a forked process; return its exit code, or the signal that ended it, below 0."""
    child = os.fork()
    if not child:
        write(store)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
