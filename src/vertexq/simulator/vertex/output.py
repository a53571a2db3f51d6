"""A job's output in Cloud Storage: the final file or shards, and files of rows that are done already."""

from __future__ import annotations

import random

from vertexq.model import GcsUri
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.kinds.base import Kind
from vertexq.simulator.kinds.lots import OutputRow
from vertexq.simulator.vertex.buckets import BucketCalls, ObjectWriter

WINDOW_ROWS = 1_000  # lines change places within so many, which is what is held in memory


class Output:
    """What a job writes below its output directory; final files are there after ``close``, not before."""

    def __init__(
        self, calls: BucketCalls, directory: str, *, kind: Kind, behaviour: Behaviour, salt: str
    ) -> None:
        self.where = directory
        self._calls = calls
        self._directory = GcsUri.parse(directory)
        self._behaviour = behaviour
        self._dice = random.Random(salt)
        self._window: list[bytes] = []
        self._early: ObjectWriter | None = None
        self._early_files = 0
        self._early_rows = 0
        self._lines = 0
        names = [] if behaviour.early_only else kind.files(behaviour.shards)
        self._files = [ObjectWriter(calls, self._directory.join(name)) for name in names]
        self._error_file = kind.error_file
        self._errors: ObjectWriter | None = None

    @property
    def begun(self) -> bool:
        """Whether there is any line yet."""
        return bool(self._lines or self._window or self._errors)

    async def add(self, row: OutputRow) -> None:
        """Take the output of one row."""
        lines = row.lines
        if row.apart and self._error_file:
            await self._set_apart(lines)
            return
        self._window += lines
        if len(self._window) >= WINDOW_ROWS:
            await self._flush()
        if self._behaviour.incremental_rows:
            await self._publish_early(lines)

    async def close(self) -> None:
        """Write what is held and publish the final files, all but one that is late."""
        await self._flush()
        if self._behaviour.early_only and self._early is not None:
            await self._early.close()
        if self._errors is not None:
            await self._errors.close()
        for file in self._files[: -1 if self.is_late else None]:
            await file.close()

    @property
    def is_late(self) -> bool:
        """Whether the last final file is published after the job has ended, by ``close_late``."""
        return self._behaviour.late_output_s > 0 and not self._behaviour.early_only

    async def close_late(self) -> None:
        """Publish the last final file."""
        await self._files[-1].close()

    async def _flush(self) -> None:
        if self._behaviour.shuffle:
            self._dice.shuffle(self._window)
        for line in self._window:
            if self._files:
                await self._files[self._lines % len(self._files)].write(line)
            self._lines += 1
        self._window.clear()

    async def _set_apart(self, lines: tuple[bytes, ...]) -> None:
        if self._errors is None:
            self._errors = ObjectWriter(self._calls, self._directory.join(self._error_file))
        await self._errors.write(b"".join(lines))

    async def _publish_early(self, lines: tuple[bytes, ...]) -> None:
        if self._early is None:
            name = f"incremental_predictions/predictions_{self._early_files:05}.jsonl"
            self._early = ObjectWriter(self._calls, self._directory.join(name))
        await self._early.write(b"".join(lines))
        self._early_rows += 1
        if self._early_rows >= self._behaviour.incremental_rows:
            await self._early.close()
            self._early, self._early_rows = None, 0
            self._early_files += 1
