"""How a submission stands, as lines and tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from vertexq.cli.reporting import on_terminal, say
from vertexq.plain import money, one_line
from vertexq.results import Outcome
from vertexq.status import Status


def say_status(status: Status) -> None:
    """Print one submission, a fact a line."""
    for name, value in _facts(status):
        say(f"{name:<14}{one_line(value)}")


def _facts(status: Status) -> list[tuple[str, str]]:
    facts = [
        ("id", status.id),
        ("state", status.state.value),
        ("reason", status.reason),
        ("model", status.model),
        ("store", status.store),
        ("rows", f"{status.sent_rows:,} sent, {status.answered_rows:,} answered" if status.sent_rows else ""),
        ("outcomes", _tally({outcome.value: getattr(status.counts, outcome.value) for outcome in Outcome})),
        ("lines aside", f"{status.quarantined_lines:,} quarantined" if status.quarantined_lines else ""),
        ("batches", _tally(status.batches_by_state)),
        ("Google's jobs", _tally(status.job_states)),
        ("tokens", _tokens(status)),
        ("cost", money(status.cost_usd) if status.landed_rows else ""),
        ("created", status.created_at.isoformat(timespec="seconds")),
        ("finished", status.finished_at.isoformat(timespec="seconds") if status.finished_at else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _tokens(status: Status) -> str:
    usage = status.usage
    output_tokens = usage.output_tokens + usage.thoughts_tokens
    if not usage.total_tokens:
        return ""
    return f"{usage.prompt_tokens:,} prompt, {output_tokens:,} output ({usage.thoughts_tokens:,} thoughts)"


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


COLUMNS = ("id", "state", "model", "store", "sent", "landed", "failed", "cost", "created")


CUT_FIRST = ("model", "store", "created")
WIDE_COLUMNS = 110
"""A terminal narrower than this is not shown when a submission was created."""


def say_statuses(statuses: Sequence[Status]) -> None:
    """Print the newest submissions: a table on a terminal, tab-separated lines with a heading elsewhere."""
    if on_terminal():
        _table(statuses)
        return
    say("\t".join(COLUMNS))
    for status in statuses:
        say("\t".join(_columns(status)))


def _columns(status: Status) -> list[str]:
    counts = status.counts
    return [
        status.id,
        status.state.value,
        one_line(status.model),
        one_line(status.store),
        str(status.sent_rows),
        str(status.landed_rows),
        str(counts.failed + counts.missing + counts.quarantined),
        f"{status.cost_usd:.6f}",
        status.created_at.isoformat(timespec="seconds"),
    ]


def _table(statuses: Sequence[Status]) -> None:
    """Draw a table; where it is too wide, ids and numbers are kept whole and other columns are cut."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    names = COLUMNS if console.width >= WIDE_COLUMNS else COLUMNS[:-1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(names):
        whole = max(len(name), *(len(_columns(status)[at]) for status in statuses))
        width = None if name in CUT_FIRST else whole
        table.add_column(name, no_wrap=True, min_width=width)
    for status in statuses:
        table.add_row(*map(Text, _columns(status)[: len(names)]))
    console.print(table)
