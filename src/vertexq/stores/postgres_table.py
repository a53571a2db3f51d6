"""Whether a table that is there in PostgreSQL can take our rows: decisions over its catalogue. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from vertexq.stores import table_fit
from vertexq.stores.columns import Column, ColumnType
from vertexq.stores.layout import Layout
from vertexq.stores.postgres_vectors import ARRAY, VectorColumn
from vertexq.stores.table_fit import Found

DAY = "arrived_on"
"""The column that a table partitioned by day has beside ours."""

# vectors: unless the table says otherwise (see postgres_vectors);
# bigint throughout: a code or a count from outside must not be refused for its size
TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "bigint",
    ColumnType.REAL: "double precision",
    ColumnType.INSTANT: "timestamp with time zone",
    ColumnType.JSON: "json",  # Google's own bytes; jsonb would take twice as long to make, and change them
    ColumnType.VECTOR: ARRAY,
}
_ALSO = {
    ColumnType.TEXT: ("character varying",),
    ColumnType.INTEGER: ("integer", "smallint", "numeric"),
    ColumnType.REAL: ("real", "numeric"),
    ColumnType.INSTANT: (),
    ColumnType.JSON: ("jsonb", "text"),
    ColumnType.VECTOR: ("vector", "halfvec", "double precision[]", "json", "jsonb", "text"),
}
CAST_KEYS = ("uuid", "bigint", "integer", "smallint")
"""Types that a key may have in a table of the user's own; text is turned into them."""
_IN_KEY = ("submission_id", "key")
_SIZE = re.compile(r"\([0-9, ]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as PostgreSQL describes it; one without columns is not there."""

    columns: tuple[Found, ...] = ()
    unique: tuple[frozenset[str], ...] = ()
    partitioned: bool = False

    def type_of(self, name: str) -> str:
        """Return the type of the column called ``name``, without sizes; "" when there is none."""
        return _SIZE.sub("", self._whole_type_of(name))

    def vectors_in(self, name: str) -> VectorColumn:
        """Return what the column called ``name`` takes vectors as."""
        return VectorColumn.parse(self._whole_type_of(name)) or VectorColumn(kind=ARRAY)

    def staging_type(self, column: Column, name: str) -> str:
        """Return the type in which values for the column called ``name`` are sent."""
        there = self._whole_type_of(name) if column.type is ColumnType.VECTOR else ""
        return there.partition("](")[0] + "]" * ("](" in there) if there else TYPES[column.type]

    def _whole_type_of(self, name: str) -> str:
        return next((found.type for found in self.columns if found.name == name), "")


def lacking(layout: Layout, table: Table) -> list[tuple[Column, str]]:
    """Return the columns of ``layout`` that ``table`` does not have; quoted names are told apart by case."""
    return table_fit.lacking(layout, table.columns, fold=str)


def is_exact(layout: Layout, table: Table) -> bool:
    """Tell whether the columns have the very types that we would give them: then COPY writes them."""
    types = {found.name: found.type for found in table.columns}
    return all(
        column.type is ColumnType.VECTOR or types.get(name) == TYPES[column.type]
        for column, name in layout.names
    )


def faults(layout: Layout, table: Table, *, by_day: bool) -> Iterator[str]:
    """Say what must be mended before ``table`` can take rows; nothing when it can."""
    if by_day != table.partitioned:
        yield (
            "it is not partitioned, and partition=day stands in the URL"
            if by_day
            else "it is partitioned, and partition=day does not stand in the URL"
        )
    yield from table_fit.faults(
        layout, table.columns, partial(_unfit, layout), fold=str, spare=DAY if by_day else ""
    )
    key = frozenset((*layout.key, DAY) if by_day else layout.key)
    if key not in table.unique:
        yield table_fit.without_key(layout)


def _unfit(layout: Layout, column: Column, found: Found) -> Iterable[str]:
    vectors = VectorColumn.parse(found.type) if column.type is ColumnType.VECTOR else None
    if vectors:
        if layout.dimensions and vectors.dimensions not in {None, layout.dimensions}:
            yield f"its column {found.name} is {found.type}, and vector={layout.dimensions} stands in the URL"
        return
    bare = _SIZE.sub("", found.type)
    fits = (TYPES[column.type], *_ALSO[column.type], *(CAST_KEYS if column.name in _IN_KEY else ()))
    if bare not in fits:
        yield f"its column {found.name} is {found.type}; for {column.name} it may be {', '.join(fits)}"
