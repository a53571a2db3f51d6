"""What was spent and what tokens cost, as lines, tables and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vertexq.cli.reporting import on_terminal, say, say_json
from vertexq.ledger.spending import Spent
from vertexq.model import Batch
from vertexq.money import CAP_VARIABLE, estimate_json, in_usd, said_estimate, usd
from vertexq.plain import money, one_line
from vertexq.price_lines import PriceLine, per_million
from vertexq.prices import VARIABLE, PriceBook
from vertexq.results import Outcome
from vertexq.status import Status

DAY_COLUMNS = ("day", "project", "model", "tenant", "jobs", "rows", "estimate", "cost")
PRICE_COLUMNS = ("model", "from", "until", "input", "output", "cached", "online in", "online out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What one project has spent since midnight UTC, and its cap; None is no cap."""

    project: str
    spent_pusd: int
    cap_pusd: int | None

    @property
    def left_pusd(self) -> int | None:
        """Return how much may still be spent today; None without a cap."""
        return None if self.cap_pusd is None else max(self.cap_pusd - self.spent_pusd, 0)

    def to_json(self) -> dict[str, object]:
        """Return what scripts get."""
        return {
            "project": self.project,
            "spent_usd": in_usd(self.spent_pusd),
            "cap_usd": in_usd(self.cap_pusd),
            "left_usd": in_usd(self.left_pusd),
        }

    def line(self) -> str:
        """Return the same for people."""
        spent = f"{one_line(self.project)} has spent {usd(self.spent_pusd)} today"
        if self.cap_pusd is None or self.left_pusd is None:
            return f"{spent}; it has no daily cap ({CAP_VARIABLE})"
        return f"{spent} of its daily cap of {usd(self.cap_pusd)}: {usd(self.left_pusd)} are left"


def say_one(status: Status, batches: Sequence[Batch], *, as_json: bool) -> None:
    """Print what one submission was estimated at and has cost."""
    if as_json:
        said = status.to_json()
        kept = ("id", "state", "model", "rows", "tokens", "estimate", "budget_usd", "cost_usd", "strays")
        say_json({**{name: said[name] for name in kept}, "jobs": [_job(batch) for batch in batches]})
        return
    for name, value in _facts(status):
        say(f"{name:<14}{one_line(value)}")


def say_days(found: Sequence[Spent], caps: Sequence[Day], *, days: int, as_json: bool) -> None:
    """Print what was spent by day, project, model and tenant, and what is left of today's caps."""
    if as_json:
        today = [cap.to_json() for cap in caps]
        say_json({"days": [_day(one) for one in found], "today": today})
        return
    if found:
        _table(DAY_COLUMNS, [_day_cells(one) for one in found], numbers=4)
    else:
        say("Nothing was sent today (UTC)." if days == 1 else f"Nothing was sent in the last {days:,} days.")
    if on_terminal() or not found:
        for cap in caps:
            say(f"\n{cap.line()} (since 00:00 UTC, running jobs by estimate)")


def say_prices(prices: PriceBook, *, as_json: bool) -> None:
    """Print the price table: as a price file to start from, or for people with where it is from."""
    if as_json:
        say(as_file(prices))
        return
    _table(PRICE_COLUMNS, [_price_cells(line) for line in prices.lines()], numbers=3)
    if not on_terminal():
        return
    say("\nUS dollars per million tokens, in a batch. Where they are from:")
    for source, read in prices.sources():
        say(f"- {one_line(source) or 'your file says nothing'}{f' (read {one_line(read)})' if read else ''}")
    say(f"Prices of your own: vertexq cost --prices --json > prices.json, change it, name it in {VARIABLE}.")


def as_file(prices: PriceBook) -> str:
    """Return the table as a price file, a line a price."""
    said = dict(prices.to_json())
    lines: Any = said.pop("prices")
    head = "".join(f"  {_json(name)}: {_json(value)},\n" for name, value in said.items())
    body = ",\n".join(f"    {_json(line)}" for line in lines)
    return f'{{\n{head}  "prices": [\n{body}\n  ]\n}}'


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _facts(status: Status) -> Iterator[tuple[str, str]]:
    yield "id", status.id
    yield "state", status.state.value
    yield "model", status.model
    if status.estimate is not None:
        yield "estimate", said_estimate(status.estimate, model=status.model).line
    if status.budget_usd is not None:
        yield "budget", money(status.budget_usd)
    yield "cost", status.cost
    answered = status.counts.succeeded + status.counts.blocked
    if status.cost_usd and answered:
        yield "an answer", f"{money(status.cost_usd / answered)} on average, of {answered:,}"
    counts = {outcome.value: getattr(status.counts, outcome.value) for outcome in Outcome}
    yield "rows", ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none yet"
    if status.strays:
        yield "strays", f"{status.strays:,}; what they have cost is not known"


def _job(batch: Batch) -> dict[str, object]:
    priced = batch.estimate is None or batch.estimate.cost_pusd is not None
    return {
        "batch": batch.id,
        "state": batch.state.value,
        "online": batch.online,
        "job_state": batch.job_state,
        "sent_at": batch.sent_at.isoformat() if batch.sent_at else None,
        "rows": batch.rows,
        "estimate": estimate_json(batch.estimate) if batch.estimate else None,
        "cost_usd": in_usd(batch.cost_pusd) if batch.usage.has_cost(priced=priced) else None,
    }


def _day(one: Spent) -> dict[str, object]:
    return {
        "day": one.day.isoformat(),
        "project": one.project,
        "model": one.model,
        "tenant": one.tenant,
        "jobs": one.jobs,
        "rows": one.rows,
        "estimate_usd": in_usd(one.estimate_pusd),
        "cost_usd": in_usd(one.cost_pusd),
        "counted_usd": in_usd(one.counted_pusd),
    }


def _day_cells(one: Spent) -> list[str]:
    names = (one.day.isoformat(), one.project, one.model, one.tenant)
    return [
        *map(one_line, names),
        str(one.jobs),
        str(one.rows),
        *(_usd_cell(pusd) for pusd in (one.estimate_pusd, one.cost_pusd)),
    ]


def _usd_cell(pusd: int | None) -> str:
    return "unknown" if pusd is None else f"{in_usd(pusd):.6f}"


def _price_cells(line: PriceLine) -> list[str]:
    prices = (line.input, line.output, line.cached, line.online_input, line.online_output)
    until = line.until_day.isoformat() if line.until_day else ""
    days = [line.from_day.isoformat(), until]
    return [line.model, *days, *("" if pusd is None else per_million(pusd) for pusd in prices)]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int) -> None:
    """Print a table on a terminal, tab-separated lines elsewhere; ``numbers`` is the first right column."""
    if not on_terminal():
        for row in (columns, *rows):
            say("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(columns):
        table.add_column(name, overflow="fold", justify="right" if at >= numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
