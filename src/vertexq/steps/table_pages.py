"""The rows of one range of an output table, as the lines that a file would hold; positions are row numbers.

What is read is a copy that nobody changes: so a page holds the same rows however often it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from vertexq.errors import BadOutput, NotFound, Unavailable
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import TablePage, TableRef
from vertexq.google.messages import Unreadable
from vertexq.google.table_lines import TableLines
from vertexq.ledger import OutputRange
from vertexq.lines import HEAD_BYTES, Block, Oversized
from vertexq.steps.coming import Piece
from vertexq.steps.table_names import copy_of

PAGE_ROWS = 2_000
_PIECE_ROWS = 100


class TableRows:
    """Reads a range of a table's copy from row ``position`` on."""

    checksum = 0

    def __init__(self, bigquery: BigQuery, part: OutputRange, *, position: int, limit_bytes: int) -> None:
        self._bigquery, self._part = bigquery, part
        self._copy = copy_of(part.object_name, part.generation)
        self._position = position
        self._limit_bytes = limit_bytes

    async def pieces(self, stops: Sequence[int]) -> AsyncGenerator[Piece]:
        """Yield the rows, a page at a time, in pieces of a hundred or less."""
        found = await self._bigquery.table(self._copy)
        if found is None:
            raise NotFound(_gone(self._part, self._copy), status=404)
        lines = TableLines(found.columns)
        async with aclosing(self._pages()) as pages:
            async for number, page in pages:
                for start, cells in _runs(number, page.cells, stops):
                    yield self._piece(start, cells, lines)

    async def _pages(self) -> AsyncGenerator[tuple[int, TablePage]]:
        """Yield pages with the number of their first row; the next one comes while one is worked on."""
        at, coming = self._position, self._asked_for(self._position)
        try:
            while coming is not None:
                page = await coming
                self._check(page, at)
                number, at = at, at + len(page.cells)
                coming = self._asked_for(at)
                yield number, page
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    def _asked_for(self, start: int) -> asyncio.Task[TablePage] | None:
        most = min(PAGE_ROWS, self._part.end - start)
        return asyncio.create_task(self._bigquery.rows(self._copy, start=start, most=most)) if most else None

    def check(self, *, is_stored: bool) -> None:
        """Find nothing wrong: each page was checked when it came."""
        del is_stored

    def last(self) -> Piece:
        """Return no row: all are whole."""
        return Piece((), self._part.end, 0)

    def _piece(self, start: int, cells: Sequence[Sequence[object]], lines: TableLines) -> Piece:
        """Return rows as blocks of one line each, so that each one's number is its offset."""
        items: list[Block | Oversized] = []
        size_bytes = 0
        for number, row in enumerate(cells, start=start):
            line = self._line(row, lines)
            size_bytes += len(line)
            too_long = len(line) > self._limit_bytes
            items.append(
                Oversized(number, len(line), line[:HEAD_BYTES]) if too_long else Block(number, [line])
            )
        return Piece(items, start + len(cells), size_bytes)

    def _line(self, row: Sequence[object], lines: TableLines) -> bytes:
        try:
            return lines.line(row)
        except Unreadable as error:
            raise BadOutput(f"{self._part.object_name}: {error}; {_CHANGED}") from error

    def _check(self, page: TablePage, start: int) -> None:
        """Raise ``BadOutput`` unless the copy has as many rows as when it was pinned."""
        part = self._part
        if page.total != part.size_bytes:
            raise BadOutput(
                f"{part.object_name}: its copy {self._copy} had {part.size_bytes} rows and has {page.total} "
                f"now; {_CHANGED}"
            )
        if not page.cells:
            raise Unavailable(
                f"BigQuery gave no row of {self._copy} from number {start} on, of {page.total}; "
                "they will be asked for again"
            )


_CHANGED = (
    "somebody changed the copy while it was read. Rows of it are in the store already and may be wrong: "
    "run the submission again under another id"
)


def _gone(part: OutputRange, copy: TableRef) -> str:
    return (
        f"{part.object_name} is not read to its end, and the copy {copy} that was read is gone: it was "
        "deleted or has expired. What was read is in the store; run the submission again under another id "
        "for the rest"
    )


def _runs(
    start: int, cells: Sequence[Sequence[object]], stops: Sequence[int]
) -> Iterator[tuple[int, Sequence[Sequence[object]]]]:
    """Yield a page's rows in runs that end at each stop within it, with the number of the first."""
    at, end = start, start + len(cells)
    while at < end:
        upto = min([at + _PIECE_ROWS, end, *(stop for stop in stops if at < stop)])
        yield at, cells[at - start : upto - start]
        at = upto
