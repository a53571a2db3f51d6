"""What rows may cost before they are sent, and what is said when that is too much. Pure; pico-dollars inside.

An estimate is the most that is known to be possible: the input as it will be counted, and for each row the
most output tokens it allows. Rows that allow any number are reckoned with an assumption and counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation

from vertexq.bounds import Held, HeldBy
from vertexq.errors import BadInput
from vertexq.model import PUSD_PER_USD, Batch, Estimate
from vertexq.plain import money, one_line
from vertexq.prices import VARIABLE, PriceBook, short_name

CAP_VARIABLE = "VERTEXQ_DAILY_CAP_USD"
MOST_USD = 1_000_000
"""The largest budget, in US dollars: sums of pico-dollars stay within 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidEstimate:
    """An estimate as it is shown: one line for people, one object for scripts."""

    line: str
    json: dict[str, object]


def priced(
    estimate: Estimate,
    model: str,
    on: date,
    prices: PriceBook,
    assumed_output_tokens: int,
    *,
    online: bool = False,
) -> Estimate:
    """Return the estimate with its cost, and with the assumed output of rows that set no limit added.

    ``estimate`` is as it was counted: its ``output_tokens`` are those of rows with a limit only. The cost is
    None when ``model`` has no price on that day, as a batch or ``online``. Long prompts of a price with a
    tier are reckoned as such when they are long on average.
    """
    output_tokens = estimate.output_tokens + estimate.assumed_rows * assumed_output_tokens
    price = prices.price_of(model, on, online=online)
    if price is None:
        return replace(estimate, output_tokens=output_tokens, cost_pusd=None)
    if price.long is not None and estimate.input_tokens > price.long_from_tokens * estimate.rows:
        price = price.long
    cost_pusd = price.cost_pusd(input_tokens=estimate.input_tokens, output_tokens=output_tokens)
    return replace(estimate, output_tokens=output_tokens, cost_pusd=cost_pusd)


def together(estimates: Iterable[Estimate | None]) -> Estimate | None:
    """Return the sum of estimates; None, or a cost of None, when one of them is not known."""
    total = Estimate(cost_pusd=0)
    for one in estimates:
        if one is None:
            return None
        unknown = total.cost_pusd is None or one.cost_pusd is None
        total = Estimate(
            rows=total.rows + one.rows,
            input_tokens=total.input_tokens + one.input_tokens,
            output_tokens=total.output_tokens + one.output_tokens,
            assumed_rows=total.assumed_rows + one.assumed_rows,
            cost_pusd=None if unknown else (total.cost_pusd or 0) + (one.cost_pusd or 0),
        )
    return total


def over_budget(estimate: Estimate, budget_pusd: int | None, *, model: str) -> str:
    """Say why rows of this (priced) estimate must not be sent within a budget; "" when they may."""
    if budget_pusd is None:
        return ""
    if estimate.cost_pusd is None:
        return no_price(model)
    if estimate.cost_pusd <= budget_pusd:
        return ""
    return (
        f"it may cost {usd(estimate.cost_pusd)} and its budget is {usd(budget_pusd)}; nothing was sent; "
        "enqueue it again under the same id with a larger budget"
    )


def held_sentence(held: Held, batch: Batch) -> str:
    """Say which bound keeps a batch from being sent, with the numbers and what to do."""
    if held.by is HeldBy.DAILY_CAP:
        return _over_cap(held, batch)
    if held.by is HeldBy.BUDGET:
        return _over_its_budget(held, batch)
    return (
        f"{held.taken:,} {held.by} are in flight at Google and {held.bound:,} may be; this batch needs "
        f"{held.wanted:,}; it waits for others to end"
    )


def no_price(model: str) -> str:
    """Say that a model has no price, where one is needed."""
    name = one_line(short_name(model)[:80])
    return f"no price for {name}; give one in {VARIABLE} or leave the budget out"


def parse_budget(said: str | float | Decimal) -> int:
    """Return a budget in pico-dollars, given in US dollars; raise ``BadInput`` for what is none."""
    try:
        usd_said = Decimal(str(said).strip().removesuffix("USD").strip())
    except InvalidOperation:
        usd_said = Decimal("NaN")
    if not usd_said.is_finite() or not 0 < usd_said <= MOST_USD:
        raise BadInput(
            f"a budget is a positive number of US dollars, at most {MOST_USD:,}, not {str(said)[:40]!r}"
        )
    return int(usd_said * PUSD_PER_USD)


def usd(pusd: int) -> str:
    """Return pico-dollars as people read them: two decimals, six below one dollar."""
    return money(pusd / PUSD_PER_USD)


def in_usd(pusd: int | None) -> float | None:
    """Return pico-dollars as US dollars, as scripts get them; None stays unknown."""
    return None if pusd is None else pusd / PUSD_PER_USD


def unknown_cost(model: str) -> str:
    """Say that a cost is not known, for people."""
    return f"unknown (no price for {one_line(short_name(model)[:80])})"


def said_estimate(estimate: Estimate, *, model: str) -> SaidEstimate:
    """Return a priced estimate as it is shown before rows are sent."""
    cost = unknown_cost(model) if estimate.cost_pusd is None else f"at most {usd(estimate.cost_pusd)}"
    line = f"{cost}: {estimate.input_tokens:,} input and {estimate.output_tokens:,} output tokens"
    if estimate.assumed_rows:
        rows = "1 row" if estimate.assumed_rows == 1 else f"{estimate.assumed_rows:,} rows"
        line += f" ({rows} without maxOutputTokens: assumed)"
        line = line.replace("at most", "about", 1)
    return SaidEstimate(line=line, json=estimate_json(estimate))


def estimate_json(estimate: Estimate) -> dict[str, object]:
    """Return an estimate as scripts get it; ``cost_usd`` is null when the model has no price."""
    return {
        "rows": estimate.rows,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "assumed_rows": estimate.assumed_rows,
        "cost_usd": in_usd(estimate.cost_pusd),
    }


def _over_cap(held: Held, batch: Batch) -> str:
    head = (
        f"the project {batch.project} has spent {usd(held.taken)} of its daily cap of {usd(held.bound)} "
        f"(since 00:00 UTC, running jobs by estimate); this batch may cost {usd(held.wanted)}"
    )
    if held.wanted > held.bound:
        return f"{head}, more than a day's cap; raise {CAP_VARIABLE}, or send smaller submissions"
    return f"{head}; raise {CAP_VARIABLE} or enqueue again tomorrow"


def _over_its_budget(held: Held, batch: Batch) -> str:
    if batch.estimate is None or batch.estimate.cost_pusd is None:
        return no_price(batch.model)
    return (
        f"the submission {batch.submission_id} has spent {usd(held.taken)} of its budget of "
        f"{usd(held.bound)} (running jobs by estimate); this batch may cost {usd(held.wanted)}; "
        "enqueue it again under the same id with a larger budget"
    )
