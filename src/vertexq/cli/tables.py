"""Tables for people: drawn on a terminal, tab-separated with a heading elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vertexq.cli.reporting import on_terminal, say
from vertexq.plain import one_line

GAP = 2
"""Spaces between two columns."""
LEAST = 6
"""Columns are not cut below so many characters."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading. Where a terminal is too narrow, those that may be are cut, no others."""

    name: str
    right: bool = False
    may_be_cut: bool = False


def say_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text from anywhere."""
    clean = [[one_line(cell) for cell in row] for row in rows]
    if on_terminal():
        _draw(columns, clean)
        return
    for row in ([column.name for column in columns], *clean):
        say("\t".join(row))


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    widths = column_widths(columns, rows, console.width)
    if widths is None:
        _list(columns, rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.name, no_wrap=True, width=width, justify="right" if column.right else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def column_widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return how wide each column is in a terminal of ``width``; None when not even a cut table fits."""
    whole = [max(len(column.name), *(len(row[at]) for row in rows)) for at, column in enumerate(columns)]
    left = width - GAP * (len(columns) - 1) - sum(whole)
    cut = [at for at, column in enumerate(columns) if column.may_be_cut]
    while left < 0:
        widest = max(cut, key=lambda at: whole[at], default=None)
        if widest is None or whole[widest] <= LEAST:
            return None
        whole[widest] -= 1
        left += 1
    return whole


def _list(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print a fact a line, and an empty line between rows."""
    longest = max(len(column.name) for column in columns)
    for number, row in enumerate(rows):
        if number:
            say()
        for column, cell in zip(columns, row, strict=True):
            say(f"{column.name:<{longest}}  {cell}")
