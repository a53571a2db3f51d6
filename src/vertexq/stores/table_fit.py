"""Whether a table that is there can take our rows: what every store with tables asks. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from vertexq.stores.columns import Column
from vertexq.stores.layout import Layout

Fold = Callable[[str], str]
"""How a database compares names: most tell no case apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A column as the database describes it; ``supplied`` means that it gets a value when none is given."""

    name: str
    type: str
    required: bool
    supplied: bool


Unfit = Callable[[Column, Found], Iterable[str]]
"""Says what is wrong with the type of a column that is to hold one of ours; nothing when it will do."""


def lacking(layout: Layout, found: Iterable[Found], *, fold: Fold = str.lower) -> list[tuple[Column, str]]:
    """Return the columns of ``layout`` that are not there, each with its name."""
    there = {fold(column.name) for column in found}
    return [(column, name) for column, name in layout.names if fold(name) not in there]


def faults(
    layout: Layout, found: Iterable[Found], unfit: Unfit, *, fold: Fold = str.lower, spare: str = ""
) -> Iterator[str]:
    """Say what must be mended before the table can take rows; nothing when it can.

    A table of all our columns may lack some: an older vertexq made it. ``spare`` is one of the store's own.
    """
    found = tuple(found)
    if not layout.is_whole:
        for lack, name in lacking(layout, found, fold=fold):
            yield f"it has no column {name} (for {lack.name})"
    ours = {fold(name): column for column, name in layout.names}
    for there in found:
        column = ours.get(fold(there.name))
        if column is not None:
            yield from unfit(column, there)
            if there.required and not column.required:
                yield f"its column {there.name} is NOT NULL, but {column.name} is null for rows that failed"
        elif there.required and not there.supplied and there.name != spare:
            yield f"its column {there.name} wants a value that we do not have: give it a default"


def without_key(layout: Layout) -> str:
    """Say that nothing keeps the same row from being there twice."""
    return f"it has no unique index on ({', '.join(layout.key)}), which says what a repeated row is"


def refused(table: object, faults: Iterable[str]) -> str:
    """Return the whole sentence about a table; "" when there is no fault."""
    said = "; ".join(faults)
    if not said:
        return ""
    return f"the table {table} cannot take rows: {said}; mend it, or table= and columns= in the store's URL"
