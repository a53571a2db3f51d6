"""Where rows land in a table of the user's own: its name, which of our columns, and their names. No I/O.

``?table=answers&columns=key:id,text:answer,cost_usd`` in a store's URL: the table ``answers`` with the
columns ``id``, ``answer`` and ``cost_usd``. ``vector=768``: see ``vertexq.stores.vectors``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, cast
from urllib.parse import unquote_plus

from vertexq.errors import BadSettings
from vertexq.results import RESULT_COLUMNS, Outcome, Result, Row, SourceRange
from vertexq.stores.columns import COLUMNS, VECTOR, Column, rank_sql, result_of
from vertexq.stores.vectors import Vector

TABLE = "vertexq_results"
OWN_TABLES = ("vertexq_quarantine", "vertexq_progress")
"""Tables of the store itself, which keep their names whatever the layout says."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_BY_NAME = {column.name: column for column in COLUMNS}
_UNKNOWN: dict[str, Any] = {**dict.fromkeys(RESULT_COLUMNS), "outcome": Outcome.SUCCEEDED.value, "attempt": 1}
_UNKNOWN["batch_id"] = ""
_never_null = itemgetter(*(at for at, column in enumerate(COLUMNS) if column.required))


@dataclass(frozen=True)  # no slots: what is worked out once is kept
class Layout:
    """The results table: ``names`` pairs each of our columns that it holds with its name there, in order.

    ``vector`` is what the URL says of all vectors; None when it says nothing.
    """

    table: str = TABLE
    names: tuple[tuple[Column, str], ...] = tuple((column, column.name) for column in COLUMNS)
    vector: Vector | None = None

    @cached_property
    def is_whole(self) -> bool:
        """Tell whether every column is there."""
        return len(self.names) == len(COLUMNS)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Return our columns, in the table's order."""
        return tuple(column for column, _ in self.names)

    @cached_property
    def at(self) -> tuple[int, ...]:
        """Return where each of the table's columns stands in a ``Row``."""
        return tuple(RESULT_COLUMNS.index(column.name) for column in self.columns)

    @cached_property
    def vector_at(self) -> int | None:
        """Return which of the table's columns holds vectors; None when none does."""
        return next((at for at, column in enumerate(self.columns) if column.name == VECTOR), None)

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers each vector has; None when the URL does not say."""
        return self.vector.dimensions if self.vector else None

    @cached_property
    def pick(self) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """Return the function that takes the table's columns out of a row."""
        if self.columns == COLUMNS:
            return tuple
        if len(self.at) == 1:
            (only,) = self.at
            return lambda row: (row[only],)
        return cast(Callable[[Sequence[Any]], tuple[Any, ...]], itemgetter(*self.at))

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Return the columns that tell rows apart, by name: the submission, when it is held, and the key."""
        found = (self.name_of("submission_id"), self.name_of("key"))
        return tuple(name for name in found if name)

    @cached_property
    def is_judged(self) -> bool:
        """Tell whether the table itself says which of two rows of a key is the better one.

        Without ``outcome`` and ``attempt`` it does not, and ``replaces`` decides.
        """
        return bool(self.name_of("outcome") and self.name_of("attempt"))

    def range_id(self, source: SourceRange) -> str:
        """Return under which id a range's progress is kept: stores of one database share a table of them."""
        return source.id if self.table == TABLE else f"{self.table} {source.id}"

    def name_of(self, column: str) -> str:
        """Return the name in the table of our ``column``; "" when the table does not hold it."""
        return next((name for ours, name in self.names if ours.name == column), "")

    def better_sql(self, new: str, old: str) -> str:
        """Return the SQL condition under which row ``new`` replaces row ``old`` in a table that is judged."""
        outcome, attempt = quoted(self.name_of("outcome")), quoted(self.name_of("attempt"))
        sides = (f"({rank_sql(f'{row}.{outcome}')}, {row}.{attempt})" for row in (new, old))
        return " > ".join(sides)

    def where(self, submission_id: str) -> str:
        """Say, for a person, which rows of the table are a submission's; "" when it does not tell."""
        name = self.name_of("submission_id")
        return f", {name} = '{submission_id}'" if name else ""

    def result_of(self, values: Sequence[Any], *, submission_id: str) -> Result:
        """Make a ``Result`` of a stored row; what the table does not hold is None, the outcome succeeded.

        A file of an older vertexq, or of another layout, may lack what is never null: then the same stands
        for it.
        """
        if self.columns == COLUMNS and None not in _never_null(values):
            return result_of(values)
        pairs = zip(self.columns, values, strict=True)
        known = {column.name: value for column, value in pairs if value is not None}
        fields = {**_UNKNOWN, "submission_id": submission_id, **known}
        return result_of(tuple(fields[name] for name in RESULT_COLUMNS))


def quoted(name: str) -> str:
    """Return an identifier in quotes; names were checked when they were read, and hold none."""
    return f'"{name}"'


def replaces(row: Row, replacing: frozenset[str]) -> bool:
    """Tell whether ``row`` takes the place of one of its key in a table that is not judged.

    The ledger has judged what is in ``replacing``. Of two rows that it did not know of (ranges that were read
    at the same time) one that succeeded is never the worse.
    """
    return row.key in replacing or row.outcome == Outcome.SUCCEEDED.value


def split_layout(url: str, *, tables: bool = True, halves: bool = False) -> tuple[str, Layout]:
    """Take the layout out of a store's ``url``; return the rest of the URL as it was, and the layout.

    A store that has no tables says ``tables=False`` and takes no ``table=``, one that knows ``halfvec`` says
    ``halves=True``. Raise ``BadSettings`` for a layout that cannot be; nothing of the rest of the URL is in
    its text.
    """
    rest, options = take_options(url, "table", "columns", "vector")
    if "table" in options and not tables:
        raise BadSettings("this store has no tables: take table= out of its URL; columns= is understood")
    table = options.get("table", TABLE)
    _check_identifier("table", table)
    if table.lower() in OWN_TABLES:
        raise BadSettings(f"table={table} is a table of the store itself; name another one")
    names = _names(options["columns"]) if "columns" in options else Layout().names
    vector = Vector.parse(options["vector"], halves=halves) if "vector" in options else None
    if vector and all(column.name != VECTOR for column, _ in names):
        raise BadSettings("vector= needs embedding among columns=: it says how many numbers that one has")
    return rest, Layout(table, names, vector)


def take_options(url: str, *names: str) -> tuple[str, dict[str, str]]:
    """Take the query's options called ``names`` out of ``url``; return the rest as it was, and their values.

    Raise ``BadSettings`` for an option that is given twice.
    """
    place, _, query = url.partition("?")
    kept: list[str] = []
    taken: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name not in names:
            kept.append(part)
        elif name in taken:
            raise BadSettings(f"{name}= stands twice in the store's URL; write it once")
        else:
            taken[name] = unquote_plus(value)
    if not taken:
        return url, taken
    return f"{place}?{'&'.join(kept)}" if kept else place, taken


def _names(text: str) -> tuple[tuple[Column, str], ...]:
    pairs = tuple(_pairs(text))
    ours = [column.name for column, _ in pairs]
    theirs = [name.lower() for _, name in pairs]  # SQLite and DuckDB tell no case apart
    for given in (ours, theirs):
        for name in given:
            if given.count(name) > 1:
                raise BadSettings(f"columns= holds {name!r} twice; each column once, each under its own name")
    if "key" not in ours:
        raise BadSettings(
            "columns= lacks key, which tells rows apart; write columns=key:id,… or columns=key,…"
        )
    return pairs


def _pairs(text: str) -> Iterator[tuple[Column, str]]:
    for part in text.split(","):
        ours, colon, theirs = part.strip().partition(":")
        if ours not in _BY_NAME:
            raise BadSettings(
                f"columns= holds {ours[:80]!r}, which is no column of results; there are "
                f"{', '.join(RESULT_COLUMNS)}, each to be written as column or column:name_in_your_table"
            )
        name = theirs if colon else ours
        _check_identifier(f"the name for {ours}", name)
        yield _BY_NAME[ours], name


def _check_identifier(what: str, name: str) -> None:
    if not _IDENTIFIER.fullmatch(name):
        raise BadSettings(
            f"{what} is {name[:80]!r} in the store's URL; a name has letters, digits and underscores only "
            "(a-z, A-Z, 0-9, _), begins with no digit and is at most 63 long"
        )
