"""One range of one output object on its way into the store: read, split, judge, commit, chunk by chunk."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Self

import orjson

from vertexq import ranks, rowcosts
from vertexq.families import family_of
from vertexq.ledger import Claim, OutputRange
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, Counts, GcsUri, Submission, Usage
from vertexq.results import Chunk, Progress, SourceRange
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.steps.checksum import RunningChecksum
from vertexq.steps.matching import ManifestMatch
from vertexq.steps.parts import is_own
from vertexq.steps.services import Services
from vertexq.steps.writing import ChunkWriter


class RangeLoad:
    """Loads one range; ``begin`` picks up where the store's last commit stopped."""

    def __init__(
        self,
        services: Services,
        batch: Batch,
        part: OutputRange,
        claim: Claim,
        submission: Submission,
        done: Progress,
    ) -> None:
        self.quarantined_lines = 0
        self._services, self._batch, self._part, self._claim = services, batch, part, claim
        self._store = submission.store
        self._position = done.position
        key_field = submission.key_field if is_own(batch) else ""
        self._match = ManifestMatch(services, batch, key_field=key_field)
        self.reader = _reader(services, batch, part, self._match)
        self._source = _source(batch, part)
        self._checksum = RunningChecksum()
        self._restore(done.state)

    @classmethod
    async def begin(cls, services: Services, batch: Batch, part: OutputRange, claim: Claim) -> Self:
        """Ask the store how far this range is, and prepare to go on from there."""
        submission = services.ledger.submission(batch.submission_id)
        source = _source(batch, part)
        done = await services.stores.call(submission.store, lambda opened: opened.progress(source))
        return cls(services, batch, part, claim, submission, done)

    async def run(self, ends_at: float) -> bool:
        """Load until the range is complete (True) or the monotonic clock passes ``ends_at`` (False)."""
        gc_was_on = gc.isenabled()
        gc.disable()  # rows hold no cycles; collecting while a million of them pass costs a fifth of the time
        try:
            return await self._run(ends_at)
        finally:
            if gc_was_on:
                gc.enable()

    async def _run(self, ends_at: float) -> bool:
        if self._position >= self._part.end:
            return True
        writer = ChunkWriter(self._services, self._store, fence=self._claim.fence)
        async with writer, aclosing(self._download()) as pieces:
            return await self._load(pieces, writer, ends_at)

    def _download(self) -> AsyncGenerator[bytes]:
        part = self._part
        return self._services.storage.download(
            GcsUri.parse(part.object_name), generation=part.generation, start=self._position, end=part.end
        )

    async def _load(self, pieces: AsyncGenerator[bytes], writer: ChunkWriter, ends_at: float) -> bool:
        splitter = LineSplitter(offset=self._position, limit_bytes=self._services.options.line_limit_bytes)
        reading, fed = Reading(), self._position
        async for data in pieces:
            piece_start, fed = fed, fed + len(data)
            for item in splitter.feed(data):
                await self._take(item, reading)
            self._checksum.follow(data, piece_start=piece_start, position=splitter.position)
            if self._is_full(reading, splitter.position - self._position):
                await self._put(writer, reading, splitter.position)
                reading = Reading()
                if time.monotonic() >= ends_at:
                    return False
        self._checksum.verify(self._part, committed_bytes=self._position - self._part.start)
        for item in splitter.close():
            await self._take(item, reading)
        await self._put(writer, reading, self._part.end)
        return True

    async def _take(self, item: Block | Oversized, reading: Reading) -> None:
        """Judge a block; a line whose key did not come back is matched with the manifest, fetched once."""
        if not self._match.loaded and self._match.is_needed(item):
            await self._match.load(self.reader.ranks)
        self.reader.read(item, reading)

    def _is_full(self, reading: Reading, size_bytes: int) -> bool:
        options = self._services.options
        return len(reading.rows) >= options.chunk_rows or size_bytes >= options.chunk_bytes

    async def _put(self, writer: ChunkWriter, reading: Reading, position: int) -> None:
        """Hand what was read to the writer; the next chunk starts where this one ends."""
        if position == self._position:
            return
        self.quarantined_lines += len(reading.quarantined)
        chunk = Chunk(
            source=self._source,
            start=self._position,
            progress=Progress(position=position, state=self._state()),
            rows=tuple(reading.rows),
            quarantined=tuple(reading.quarantined),
            replacing=frozenset(reading.replacing),
        )
        self._position = position
        await writer.put(chunk, partial(self._set_aside, reading))

    def _set_aside(self, reading: Reading, refused: frozenset[str]) -> None:
        """Count rows that the target could not hold as quarantined, which is what the store made of them."""
        self.quarantined_lines += len(refused)
        for index, row in zip(reading.indexes, reading.rows, strict=True):
            if row.key in refused:
                self.reader.set_aside(index, row)

    def counts(self) -> Counts:
        """Return the batch's rows by outcome, this range included."""
        return ranks.counts(self.reader.ranks)

    def packed(self) -> bytes:
        """Return which rows have been found, for the ledger, and what those cost that may be replaced."""
        return ranks.pack(self.reader.ranks, rowcosts.encode(self.reader.costs))

    def _state(self) -> bytes:
        usage = self.reader.usage
        head = orjson.dumps(
            [_tokens(usage), self.reader.cost_pusd, self.quarantined_lines, self._checksum.value]
        )
        return head + b"\n" + self.packed()

    def _restore(self, state: bytes) -> None:
        if not state:
            return
        head, _, packed = state.partition(b"\n")
        tokens, self.reader.cost_pusd, self.quarantined_lines, checksum = orjson.loads(head)
        self._checksum = RunningChecksum(checksum)
        self.reader.usage = _usage(tokens)
        rows = self._batch.rows
        self.reader.ranks[:] = ranks.unpack(packed, rows=rows)
        self.reader.costs = rowcosts.decode(ranks.notes(packed, rows=rows))


def _tokens(usage: Usage) -> list[int]:
    return [
        usage.prompt_tokens,
        usage.output_tokens,
        usage.thoughts_tokens,
        usage.cached_tokens,
        usage.total_tokens,
        usage.unpriced_tokens,
    ]


def _usage(tokens: list[int]) -> Usage:
    prompt, output, thoughts, cached, total, unpriced = (*tokens, 0)[:6]  # older notes hold five
    return Usage(
        prompt_tokens=prompt,
        output_tokens=output,
        thoughts_tokens=thoughts,
        cached_tokens=cached,
        total_tokens=total,
        unpriced_tokens=unpriced,
    )


def _source(batch: Batch, part: OutputRange) -> SourceRange:
    return SourceRange(
        submission_id=batch.submission_id,
        batch_id=batch.id,
        object_name=part.object_name,
        generation=part.generation,
        start=part.start,
    )


def _reader(services: Services, batch: Batch, part: OutputRange, match: ManifestMatch) -> RowReader:
    """Prices are those of the day the job was sent, whenever its rows are read."""
    sent_on = (batch.sent_at or batch.created_at).date()
    context = ReadContext(
        submission_id=batch.submission_id,
        batch_id=batch.id,
        attempt=batch.attempt,
        rows=batch.rows,
        source_object=part.object_name,
        source_generation=part.generation,
        own_keys=is_own(batch),
        price=services.prices.price_of(batch.model, sent_on),
    )
    found = ranks.unpack(batch.found, rows=batch.rows)
    costs = rowcosts.decode(ranks.notes(batch.found, rows=batch.rows))
    return RowReader(context, family_of(batch.model).read, found, match, costs)
