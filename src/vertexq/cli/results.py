"""``vertexq results``: read the results of a submission from its store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated

import typer

import vertexq
from vertexq.cli.outlet import reader_may_leave
from vertexq.cli.reporting import LIMIT_MOST, AsJson, SubmissionId, on_terminal, reported, say, say_json
from vertexq.plain import one_line, shortened
from vertexq.results import Outcome, Result

TABLE_ROWS = 50
"""How many rows a terminal gets when nobody asked for a number."""

VECTOR_NUMBERS = 3
"""How many numbers of a vector are shown; ``--json`` gives them all."""

NOT_ANSWERED = (Outcome.FAILED, Outcome.MISSING, Outcome.QUARANTINED)


def results(
    submission_id: SubmissionId,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only rows that failed, are missing or were quarantined.")
    ] = False,
    outcome: Annotated[
        list[Outcome] | None, typer.Option("--outcome", help="Only rows with this outcome; may be repeated.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", "-s", help="Which of its stores to read (the first).")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=LIMIT_MOST, help="At most this many rows (a terminal gets 50)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print results, in no order: a table on a terminal, key, outcome and text between tabs when piped."""
    wanted = {*(outcome or ()), *(NOT_ANSWERED if failed else ())}
    with reported(as_json=as_json), vertexq.Client() as client, reader_may_leave():
        found = client.results(submission_id, outcomes=wanted or None, store=store)
        if as_json:
            for result in islice(found, limit):
                say_json(result)
        elif on_terminal():
            _table(found, limit or TABLE_ROWS)
        else:
            for result in islice(found, limit):
                say(f"{one_line(result.key)}\t{result.outcome.value}\t{one_line(shown(result))}")


def shown(result: Result) -> str:
    """Return the answer, or why there is none; of a vector how long it is, and how it begins."""
    if result.text is None and result.embedding:
        return _vector(result.embedding, result.embedding_norm)
    return result.text if result.text is not None else (result.error_message or "")


def _vector(numbers: Sequence[float], norm: float | None) -> str:
    begin = ", ".join(f"{number:.4g}" for number in numbers[:VECTOR_NUMBERS])
    more = ", …" if len(numbers) > VECTOR_NUMBERS else ""
    said = "" if norm is None else f", norm {norm:.4g}"
    return f"[{begin}{more}] ({len(numbers)} numbers{said})"


def _table(found: Iterator[Result], limit: int) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("key", "outcome", "tokens", "text", box=None, pad_edge=False, header_style="bold")
    for cells in _cells(islice(found, limit)):
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
    if next(found, None) is not None:
        say(f"There are more than {limit:,}; say --limit, or pipe the output to get all of them.")


def _cells(found: Iterable[Result]) -> Iterator[tuple[str, ...]]:
    for result in found:
        tokens = "" if result.total_tokens is None else f"{result.total_tokens:,}"
        text = shortened(one_line(shown(result)), limit=160)
        yield one_line(result.key), result.outcome.value, tokens, text
