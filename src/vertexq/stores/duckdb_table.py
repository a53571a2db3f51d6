"""Whether a table that is there can take rows. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vertexq.stores.columns import ColumnType
from vertexq.stores.layout import Layout

_TAKES: dict[ColumnType, tuple[str, ...]] = {
    ColumnType.TEXT: ("VARCHAR", "JSON"),
    ColumnType.INTEGER: ("BIGINT", "HUGEINT"),
    ColumnType.REAL: ("DOUBLE", "FLOAT", "DECIMAL"),
    ColumnType.INSTANT: ("TIMESTAMP",),  # with a time zone or without
    ColumnType.JSON: ("JSON", "VARCHAR"),
}
"""How the names of types begin that hold a column; a key may be anything that the producer's keys are."""


class Held(NamedTuple):
    """A column as DuckDB lists it."""

    name: str
    type: str
    may_be_null: bool
    has_default: bool


def missing(layout: Layout, held: Mapping[str, Held]) -> list[str]:
    """Return the names of the layout's columns that are not there; ``held`` has its names in lower case."""
    return [name for _, name in layout.names if name.lower() not in held]


def faults(layout: Layout, held: Mapping[str, Held]) -> Iterator[str]:
    """Say what keeps rows out of the table."""
    yield from (f"there is no column {name}" for name in missing(layout, held))
    for column, name in layout.names:
        if (there := held.get(name.lower())) is None:
            continue
        if column.name != "key" and not there.type.startswith(_TAKES[column.type]):
            yield f"{name} is {there.type} and not {_TAKES[column.type][0]}"
        if not column.required and not there.may_be_null:
            yield f"{name} is NOT NULL, and not every row has one"
    ours = {name.lower() for _, name in layout.names}
    for key, there in held.items():
        if key not in ours and not there.may_be_null and not there.has_default:
            yield f"{there.name} wants a value, and columns= has none for it"
