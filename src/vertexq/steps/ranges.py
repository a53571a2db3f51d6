"""One range of a job's output on its way into the stores: what comes is judged and committed, by chunks."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Self

from vertexq import accounts, ranks, rowcosts
from vertexq.accounts import RangeAccount
from vertexq.errors import BadOutput
from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.families.beside import beside_of
from vertexq.ledger import Claim, OutputRange
from vertexq.lines import Block, Oversized
from vertexq.model import Batch, SourceKind, Submission
from vertexq.results import Chunk, Progress, SourceRange
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.sources.tables import is_table
from vertexq.steps.collecting import not_collecting
from vertexq.steps.coming import Coming, Piece
from vertexq.steps.matching import ManifestMatch
from vertexq.steps.object_bytes import ObjectBytes
from vertexq.steps.parts import is_own
from vertexq.steps.services import Services
from vertexq.steps.table_pages import TableRows
from vertexq.steps.writing import ChunkWriter, Standing, standing

_CUT_OFF = "the object ends within this line"


class RangeLoad:
    """Loads one range; ``begin`` picks up where the stores' last commits stopped."""

    def __init__(
        self,
        services: Services,
        batch: Batch,
        part: OutputRange,
        claim: Claim,
        submission: Submission,
        at: Standing,
    ) -> None:
        self.part, self.batch_id = part, batch.id
        self._services, self._claim, self._at = services, claim, at
        self._position = at.done.position
        options = services.options
        self._full = services.stores.chunk_limits(
            submission.stores, rows=options.chunk_rows, size_bytes=options.chunk_bytes
        )
        self._match = match_of(services, batch, submission)
        self._source = source_of(batch, part)
        self._restore(batch, submission, accounts.decode(at.done.state, rows=batch.rows))

    @classmethod
    async def begin(cls, services: Services, batch: Batch, part: OutputRange, claim: Claim) -> Self:
        """Ask the stores how far this range is, and prepare to go on from there."""
        submission = services.ledger.submission(batch.submission_id)
        at = await standing(services, submission.stores, source_of(batch, part))
        return cls(services, batch, part, claim, submission, at)

    async def run(self, ends_at: float) -> bool:
        """Load until the range is complete (True) or the monotonic clock passes ``ends_at`` (False)."""
        if self._position >= self.part.end:
            return True
        writer = ChunkWriter(self._services, self._at, fence=self._claim.fence)
        pieces = self._coming.pieces(self._at.stops)
        with not_collecting():
            async with writer, aclosing(pieces):
                return await self._load(pieces, writer, ends_at)

    @property
    def account(self) -> RangeAccount:
        """Return what the range has brought up to its last chunk."""
        return RangeAccount(
            own=bytes(self._own),
            usage=self._reader.usage,
            cost_pusd=self._reader.cost_pusd,
            costs=dict(self._reader.costs),
            told=frozenset(self._told),
            quarantined_lines=self._quarantined_lines,
            lines=self._lines,
            crc32c=self._coming.checksum,
            ahead=self._ahead,
        )

    def _restore(self, batch: Batch, submission: Submission, done: RangeAccount) -> None:
        """Go on with an account; what others have found meanwhile is known, too."""
        self._found, self._base = batch.found, ranks.unpack(batch.found, rows=batch.rows)
        self._ahead = done.ahead or bool(self._at.stops)
        self._own, self._told = bytearray(done.own), set(done.told)
        self._quarantined_lines, self._lines, self._repeated = done.quarantined_lines, done.lines, 0
        self._coming = coming_of(self._services, self.part, self._position, checksum=done.crc32c)
        known = accounts.known_to(self._base, done.own)
        self._reader = reader_of(self._services, batch, submission, self.part, self._match, known)
        self._reader.usage, self._reader.cost_pusd = done.usage, done.cost_pusd
        self._reader.costs = dict(done.costs)

    async def _load(self, pieces: AsyncGenerator[Piece], writer: ChunkWriter, ends_at: float) -> bool:
        reading, size_bytes, stops = Reading(), 0, self._at.stops
        async for piece in pieces:
            for item in piece.items:
                await self._take(item, reading)
            size_bytes += piece.size_bytes
            if piece.position in stops or self._is_full(reading, size_bytes):
                await self._put(writer, reading, piece.position)
                reading, size_bytes = Reading(), 0
                if time.monotonic() >= ends_at:
                    return False
        self._coming.check(is_stored=self._position > self.part.start)
        last = self._coming.last()
        await self._take_last(last, reading)
        await self._put(writer, reading, last.position)
        return True

    async def _take(self, item: Block | Oversized, reading: Reading) -> None:
        """Judge a block; a line whose key did not come back is matched with the manifest, fetched once."""
        if not self._match.loaded and self._match.is_needed(item):
            await self._match.load(self._reader.ranks)
            self._wait_for_turn()
        self._reader.read(item, reading)

    def _wait_for_turn(self) -> None:
        """Raise ``NotYet`` when rows look alike and an earlier range is open, which may find the first.

        Or was, when this one began: what it has found is not known here then.
        """
        if not self._match.has_twins:
            return
        ledger = self._services.ledger
        for part in ledger.ranges(self.batch_id):
            if part.id == self.part.id:
                break
            if not part.done:
                raise NotYet(f"{self.part.id} waits for {part.id}")
        if ledger.batch(self.batch_id).found != self._found:
            raise NotYet(f"{self.part.id} began before an earlier range was done")

    async def _take_last(self, rest: Piece, reading: Reading) -> None:
        """Judge a last line without its end; an early object's is left out when it is no row yet."""
        for item in rest.items:
            last = Reading()
            await self._take(item, last)
            reading.rows += last.rows
            reading.indexes += last.indexes
            reading.outdone += last.outdone
            reading.replacing |= last.replacing
            if not self.part.early:
                cut = [line._replace(reason=f"{_CUT_OFF}: {line.reason}") for line in last.quarantined]
                reading.quarantined += cut

    def _is_full(self, reading: Reading, size_bytes: int) -> bool:
        most_rows, most_bytes = self._full
        return len(reading.rows) >= most_rows or size_bytes >= most_bytes

    async def _put(self, writer: ChunkWriter, reading: Reading, position: int) -> None:
        """Hand what was read to the writer; the next chunk starts where this one ends."""
        if position == self._position:
            return
        await writer.drain()  # what the store refused of the chunk before is in the account of this one
        before = self._count(reading)
        account = self.account
        chunk = Chunk(
            source=self._source,
            start=self._position,
            progress=Progress(position=position, state=accounts.encode(account)),
            rows=tuple(reading.rows),
            quarantined=tuple(reading.quarantined),
            replacing=frozenset(reading.replacing),
            restate=partial(self._restated, account, reading, before),
        )
        self._position = position
        reach(Failpoint.INGEST_READ)
        await writer.put(chunk, partial(self._set_aside, reading, before))

    def _count(self, reading: Reading) -> bytearray:
        """Take the rows of a chunk into the account; return which were the range's own before."""
        before, ranks_now, base = self._own, self._reader.ranks, self._base
        self._own = own = bytearray(before)
        for index in reading.outdone:
            own[index] = ranks.OUTDONE
        for index in reading.indexes:
            own[index] = ranks_now[index]
        if reading.replacing:
            self._told |= {
                index
                for index, row in zip(reading.indexes, reading.rows, strict=True)
                if row.key in reading.replacing and (before[index] or ranks.is_own(base[index]))
            }
        repeated = self._reader.repeated - self._repeated
        self._repeated = self._reader.repeated
        self._quarantined_lines += len(reading.quarantined)
        self._lines += len(reading.rows) + len(reading.quarantined) + repeated
        self._check_share()
        return before

    def _check_share(self) -> None:
        """Raise ``BadOutput`` when so many lines are bad that this is not the output of these rows."""
        options, bad = self._services.options, self._quarantined_lines
        if bad > options.bad_lines and bad > options.bad_lines_share * self._lines:
            raise BadOutput(
                f"{self.part.object_name}: {bad} of {self._lines} lines cannot be read or match no row "
                "that was sent; `vertexq quarantine` shows those that were kept. If they are to be set "
                "aside, raise VERTEXQ_BAD_LINES and enqueue the submission again"
            )

    def _restated(
        self, account: RangeAccount, reading: Reading, before: bytearray, refused: frozenset[str]
    ) -> bytes:
        """Return the account as it is when the store keeps some of a chunk's rows as quarantined."""
        costs = self._paid(reading, refused)
        return accounts.encode(accounts.set_aside(account, costs, before=before))

    def _paid(self, reading: Reading, refused: frozenset[str]) -> dict[int, rowcosts.RowCost | None]:
        priced = self._reader.context.price is not None
        rows = zip(reading.indexes, reading.rows, strict=True)
        return {index: rowcosts.of_row(row, priced=priced) for index, row in rows if row.key in refused}

    def _set_aside(self, reading: Reading, before: bytearray, refused: frozenset[str]) -> None:
        """Count rows that the target could not hold as quarantined, which is what the store made of them."""
        after = accounts.set_aside(self.account, self._paid(reading, refused), before=before)
        self._own, self._quarantined_lines = bytearray(after.own), after.quarantined_lines
        for index in self._paid(reading, refused):
            self._reader.ranks[index] = max(after.own[index], self._base[index])
        self._reader.costs.update({index: after.costs[index] for index in after.costs})


class NotYet(Exception):
    """A range must wait until those before it are done."""


def source_of(batch: Batch, part: OutputRange) -> SourceRange:
    """Return the range as a store's progress knows it."""
    return SourceRange(
        submission_id=batch.submission_id,
        batch_id=batch.id,
        object_name=part.object_name,
        generation=part.generation,
        start=part.start,
    )


def coming_of(services: Services, part: OutputRange, position: int, *, checksum: int = 0) -> Coming:
    """Return what reads a range from ``position`` on: rows of a table, or bytes of an object."""
    limit_bytes = services.options.line_limit_bytes
    if is_table(part.object_name):
        return TableRows(services.bigquery, part, position=position, limit_bytes=limit_bytes)
    return ObjectBytes(services.storage, part, position=position, checksum=checksum, limit_bytes=limit_bytes)


def reader_of(
    services: Services,
    batch: Batch,
    submission: Submission,
    part: OutputRange,
    match: ManifestMatch,
    known: bytearray,
) -> RowReader:
    """Return what reads a range's lines; prices are those of the day the job was sent."""
    sent_on = (batch.sent_at or batch.created_at).date()
    family = family_for(batch)
    prices = services.prices.with_base(batch.model, batch.priced_as)
    context = ReadContext(
        submission_id=batch.submission_id,
        batch_id=batch.id,
        attempt=batch.round + 1,
        rows=batch.rows,
        source_object=part.object_name,
        source_generation=part.generation,
        own_keys=is_own(batch),
        price=prices.price_of(batch.model, sent_on, online=batch.online),
        template=submission.template,
        validate=submission.policy.validate,
        parameters=submission.parameters,
        carried=batch.carried,
        beside=beside_of(family) if submission.source_kind is SourceKind.BIGQUERY else None,
    )
    return RowReader(context, family.reading(context), known, match)


def match_of(services: Services, batch: Batch, submission: Submission) -> ManifestMatch:
    """Return the second way for a batch's output, by the keys that its input has."""
    key_field = submission.key_field if is_own(batch) else ""
    return ManifestMatch(services, batch, key_field=key_field, resumes=submission.policy.resume)
