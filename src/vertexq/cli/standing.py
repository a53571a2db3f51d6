"""How a submission stands, as lines and tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from vertexq.cli.reporting import on_terminal, say
from vertexq.model import OnDeadline
from vertexq.money import said_estimate
from vertexq.plain import duration, money, one_line
from vertexq.recipients import Told
from vertexq.results import Outcome
from vertexq.status import Round, Status


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
        ("store", ", ".join(status.store.split(","))),
        ("rows", f"{status.sent_rows:,} sent, {status.answered_rows:,} answered" if status.sent_rows else ""),
        ("outcomes", _tally({outcome.value: getattr(status.counts, outcome.value) for outcome in Outcome})),
        ("set aside", f"{status.set_aside_rows:,} rows that cannot be sent" if status.set_aside_rows else ""),
        ("lines aside", f"{status.quarantined_lines:,} quarantined" if status.quarantined_lines else ""),
        ("batches", _tally(status.batches_by_state)),
        ("Google's jobs", _tally(status.job_states)),
        ("tokens", _tokens(status)),
        ("strays", f"{status.strays:,} jobs beside ours, cancelled where they ran" if status.strays else ""),
        ("estimate", said_estimate(status.estimate, model=status.model).line if status.estimate else ""),
        ("budget", money(status.budget_usd) if status.budget_usd is not None else ""),
        ("cost", status.cost if status.landed_rows else ""),
        ("tenant", status.tenant),
        ("priority", str(status.priority or "")),
        ("deadline", _deadline(status)),
        *(("round", _round(one, status.most_rounds)) for one in status.rounds),
        ("online", f"{status.online_rows:,} answered online" if status.online_rows else ""),
        *(("told", _told(one, status.id)) for one in status.told),
        *(("difference", text) for text in status.differences),
        *(("warning", text) for text in status.warnings),
        ("created", status.created_at.isoformat(timespec="seconds")),
        ("finished", status.finished_at.isoformat(timespec="seconds") if status.finished_at else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _round(one: Round, most: int) -> str:
    """Return ``2 of 2 for 37 rows, in 10 min``; of what was asked for by hand nobody knows how many come."""
    head = f"{one.number} of {most}" if one.number <= most else str(one.number)
    rows = "1 row" if one.rows == 1 else f"{one.rows:,} rows"
    if one.resting_until is not None:
        wait_s = max((one.resting_until - datetime.now(UTC)).total_seconds(), 0.0)
        return f"{head} for {rows}, in {duration(wait_s)}"
    state = f"{one.open_rows:,} under way" if one.open_rows else "ended"
    return f"{head} for {rows}, {one.answered_rows:,} answered, {state}"


def _told(one: Told, submission_id: str) -> str:
    """Return ``webhook:hook: 3 taken, 1 given up (…); once more with: vertexq deliveries ID --again``."""
    counts = _tally({"taken": one.delivered, "waiting": one.waiting, "given up": one.abandoned})
    why = f" ({one.reason})" if one.reason else ""
    again = f"; once more with: vertexq deliveries {submission_id} --again" if one.abandoned else ""
    return f"{one.target}: {counts}{why}{again}"


def _deadline(status: Status) -> str:
    if status.deadline_at is None:
        return ""
    rest = "runs again" if status.on_deadline is OnDeadline.RERUN else "is reported as missing"
    return f"{status.deadline_at.isoformat(timespec='seconds')}, then the rest {rest}"


def _tokens(status: Status) -> str:
    usage = status.usage
    output_tokens = usage.output_tokens + usage.thoughts_tokens
    if not usage.total_tokens:
        return ""
    return f"{usage.prompt_tokens:,} prompt, {output_tokens:,} output ({usage.thoughts_tokens:,} thoughts)"


def _tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)


COLUMNS = ("id", "state", "model", "store", "sent", "landed", "failed", "cost", "created")
DROPPED = ("created", "store", "model", "cost")
"""What a narrow terminal does without, the first one first; id, state and counts always stay."""
GAP = 2
"""Spaces between columns."""


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
        "unknown" if status.cost_usd is None else f"{status.cost_usd:.6f}",
        status.created_at.isoformat(timespec="seconds"),
    ]


def _table(statuses: Sequence[Status]) -> None:
    """Draw a table as wide as the terminal: columns are left out until the others are whole."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    rows = [_columns(status) for status in statuses]
    shown = shown_columns(rows, width=console.width)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for at in shown:
        table.add_column(COLUMNS[at], no_wrap=at > 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[at]) for at in shown))
    console.print(table)


def shown_columns(rows: Sequence[Sequence[str]], *, width: int) -> list[int]:
    """Return which columns fit, whole, into ``width`` characters; an id that is too long is folded."""
    widths = [max(len(name), *(len(row[at]) for row in rows)) for at, name in enumerate(COLUMNS)]
    shown = list(range(len(COLUMNS)))
    for name in DROPPED:
        if sum(widths[at] + GAP for at in shown) - GAP <= width:
            break
        shown.remove(COLUMNS.index(name))
    return shown
