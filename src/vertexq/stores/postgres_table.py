"""Whether a table that is there in PostgreSQL can take our rows: decisions over its catalogue. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vertexq.stores.columns import Column, ColumnType
from vertexq.stores.layout import Layout

DAY = "arrived_on"
"""The column that a table partitioned by day has beside ours."""

# bigint throughout: a code or a count from outside must not be refused for its size
TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "bigint",
    ColumnType.REAL: "double precision",
    ColumnType.INSTANT: "timestamp with time zone",
    ColumnType.JSON: "json",  # Google's own bytes; jsonb would take twice as long to make, and change them
}
_ALSO = {
    ColumnType.TEXT: ("character varying",),
    ColumnType.INTEGER: ("integer", "smallint", "numeric"),
    ColumnType.REAL: ("real", "numeric"),
    ColumnType.INSTANT: (),
    ColumnType.JSON: ("jsonb", "text"),
}
CAST_KEYS = ("uuid", "bigint", "integer", "smallint")
"""Types that a key may have in a table of the user's own; text is turned into them."""
_IN_KEY = ("submission_id", "key")
_SIZE = re.compile(r"\([0-9, ]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A column as PostgreSQL describes it; ``supplied`` means that it gets a value when none is given."""

    name: str
    type: str
    required: bool
    supplied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as PostgreSQL describes it; one without columns is not there."""

    columns: tuple[Found, ...] = ()
    unique: tuple[frozenset[str], ...] = ()
    partitioned: bool = False

    def type_of(self, name: str) -> str:
        """Return the type of the column called ``name``, without sizes; "" when there is none."""
        return next((_SIZE.sub("", found.type) for found in self.columns if found.name == name), "")


def lacking(layout: Layout, table: Table) -> list[tuple[Column, str]]:
    """Return the columns of ``layout`` that ``table`` does not have."""
    there = {found.name for found in table.columns}
    return [(column, name) for column, name in layout.names if name not in there]


def is_exact(layout: Layout, table: Table) -> bool:
    """Tell whether the columns have the very types that we would give them: then COPY writes them."""
    types = {found.name: found.type for found in table.columns}
    return all(types.get(name) == TYPES[column.type] for column, name in layout.names)


def faults(layout: Layout, table: Table, *, by_day: bool) -> Iterator[str]:
    """Say what must be mended before ``table`` can take rows; nothing when it can."""
    if by_day != table.partitioned:
        yield (
            "it is not partitioned, and partition=day stands in the URL"
            if by_day
            else "it is partitioned, and partition=day does not stand in the URL"
        )
    ours = {name: column for column, name in layout.names}
    for found in table.columns:
        if found.name in ours:
            yield from _unfit(ours[found.name], found)
        elif found.required and not found.supplied and not (by_day and found.name == DAY):
            yield f"its column {found.name} wants a value that we do not have: give it a default"
    key = frozenset((*layout.key, DAY) if by_day else layout.key)
    if key not in table.unique:
        yield f"it has no unique index on ({', '.join(layout.key)}), which says what a repeated row is"


def _unfit(column: Column, found: Found) -> Iterator[str]:
    bare = _SIZE.sub("", found.type)
    fits = (TYPES[column.type], *_ALSO[column.type], *(CAST_KEYS if column.name in _IN_KEY else ()))
    if bare not in fits:
        yield f"its column {found.name} is {found.type}; for {column.name} it may be {', '.join(fits)}"
    if found.required and not column.required:
        yield f"its column {found.name} is NOT NULL, but {column.name} is null for rows that failed"
