"""Rows on their way into one PostgreSQL table: new ones by COPY, the rest staged and merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from vertexq.results import Chunk, QuarantinedLine, Row
from vertexq.stores import postgres_sql as sql
from vertexq.stores.layout import Layout, replaces
from vertexq.stores.postgres_copy import blocks
from vertexq.stores.postgres_vectors import Encode
from vertexq.stores.vectors import UnfitVector

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One table; ``direct`` when its columns have our types, so that COPY writes them as they are."""

    layout: Layout
    say: sql.Statements
    direct: bool
    vector: Encode

    def write(self, connection: Connection, chunk: Chunk, *, merge_all: bool) -> None:
        """Write the chunk's rows in the transaction that is open, right after its savepoint."""
        merge_all = merge_all or not self.direct
        rows = chunk.rows if merge_all else self._copy_new(connection, chunk)
        if rows:
            self.merge(connection, rows, chunk.replacing)

    def _copy_new(self, connection: Connection, chunk: Chunk) -> Sequence[Row]:
        """Copy what is new straight into the table; return the rows that must be merged instead."""
        replacing = chunk.replacing
        new = [row for row in chunk.rows if row.key not in replacing] if replacing else chunk.rows
        if not new:
            return chunk.rows
        try:
            self.copy(connection, new)
        except errors.UniqueViolation:  # the ledger did not know of a row that is there
            connection.execute(sql.BACK_TO_BEGIN)
            return chunk.rows
        return [row for row in chunk.rows if row.key in replacing] if replacing else ()

    def unfit(self, rows: Iterable[Row]) -> str:
        """Say why the column of vectors cannot hold that of one of ``rows``; "" when it can."""
        try:
            for row in rows:
                if row.embedding is not None:
                    self.vector(row.embedding)
        except UnfitVector as unfit:
            return str(unfit)
        return ""

    def copy(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Write rows none of whose keys is there."""
        self._copy(connection, self.say.copy, rows)

    def merge(self, connection: Connection, rows: Sequence[Row], replacing: frozenset[str]) -> None:
        """Write rows some of whose keys may be there; the better row of each stays."""
        connection.execute(self.say.create_staging.encode())
        if self.layout.is_judged:
            self._merge(connection, self.say.merge, rows)
            return
        self._merge(connection, self.say.merge, [row for row in rows if replaces(row, replacing)])
        connection.execute(sql.EMPTY_STAGING)
        self._merge(connection, self.say.merge_new, [row for row in rows if not replaces(row, replacing)])

    def _merge(self, connection: Connection, statement: str, rows: Sequence[Row]) -> None:
        if rows:
            self._copy(connection, self.say.copy_staging, rows)
            connection.execute(statement.encode())

    def _copy(self, connection: Connection, statement: str, rows: Iterable[Row]) -> None:
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for block in blocks(rows, self.layout.columns, self.layout.at, self.vector):
                copy.write(block)


def copy_lines(connection: Connection, lines: Iterable[QuarantinedLine]) -> None:
    """Write quarantined lines in the transaction that is open."""
    with connection.cursor() as cursor, cursor.copy(sql.COPY_QUARANTINE.encode()) as copy:
        copy.set_types(sql.QUARANTINE_TYPES)
        for line in lines:
            copy.write_row(line)
