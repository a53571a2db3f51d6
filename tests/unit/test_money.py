"""Money before it is spent: estimates, budgets, caps, and the sentences that name the numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.unit.test_status_of import BATCH
from vertexq import BadInput
from vertexq.bounds import Held, HeldBy
from vertexq.model import PUSD_PER_USD, Estimate
from vertexq.money import (
    estimate_json,
    held_sentence,
    over_budget,
    parse_budget,
    priced,
    said_estimate,
)
from vertexq.prices import PriceBook

TODAY = date(2026, 11, 21)
BOOK = PriceBook.shipped()
COUNTED = Estimate(rows=3, input_tokens=1_000_000, output_tokens=200_000, assumed_rows=1)


def usd(amount: float) -> int:
    """Return US dollars as pico-dollars."""
    return round(amount * PUSD_PER_USD)


def test_an_estimate_is_input_and_the_most_output_at_the_days_price() -> None:
    """1,000,000 * 0.15 + (200,000 + 1 * 1,024) * 1.25 US dollars a million: 0.40128."""
    found = priced(COUNTED, "gemini-2.5-flash", TODAY, BOOK, 1_024)

    assert (found.output_tokens, found.cost_pusd) == (201_024, usd(0.40128))


def test_a_model_without_a_price_has_an_estimate_without_a_cost() -> None:
    """Its tokens are still counted; the cost is unknown, which is not nothing."""
    found = priced(COUNTED, "gemini-9-flash", TODAY, BOOK, 1_024)

    assert (found.output_tokens, found.cost_pusd) == (201_024, None)
    assert said_estimate(found, model="gemini-9-flash").line.startswith(
        "unknown (no price for gemini-9-flash)"
    )


def test_long_prompts_are_reckoned_at_their_own_price() -> None:
    """One row of 300,000 prompt tokens costs 300,000 * 1.25 US dollars a million."""
    found = priced(Estimate(rows=1, input_tokens=300_000), "gemini-2.5-pro", TODAY, BOOK, 1)

    assert found.cost_pusd == usd(0.375)


def test_an_estimate_says_what_was_assumed() -> None:
    """A person must see which part of the number is a guess; scripts get the parts."""
    found = priced(COUNTED, "gemini-2.5-flash", TODAY, BOOK, 1_024)

    said = said_estimate(found, model="gemini-2.5-flash")

    assert said.line == (
        "about 0.401280 USD: 1,000,000 input and 201,024 output tokens "
        "(1 row without maxOutputTokens: assumed)"
    )
    assert said.json == estimate_json(found)
    assert said.json["cost_usd"] == 0.40128


def test_an_estimate_without_assumptions_is_an_upper_bound() -> None:
    """Every row set its own limit, so no more can be answered."""
    found = priced(replace(COUNTED, assumed_rows=0), "gemini-2.5-flash", TODAY, BOOK, 1_024)

    assert said_estimate(found, model="x").line.startswith("at most 0.400000 USD:")


@pytest.mark.parametrize(
    ("said", "amount"), [("12", 12.0), ("0.5", 0.5), (" 3 USD ", 3.0), (7, 7.0), (0.25, 0.25), ("1e3", 1e3)]
)
def test_a_budget_is_read_exactly(said: str | float, amount: float) -> None:
    """In US dollars, as text or as a number."""
    assert parse_budget(said) == usd(amount)


@pytest.mark.parametrize("said", ["", "0", "-1", "nan", "inf", "ten", "1,5", "1000001"])
def test_what_is_no_budget_is_refused(said: str) -> None:
    """A slip must not become no budget at all."""
    with pytest.raises(BadInput, match="a budget is a positive number of US dollars"):
        parse_budget(said)


@pytest.mark.parametrize(
    ("cost", "budget", "says"),
    [
        (usd(2), None, ""),
        (None, None, ""),
        (usd(2), usd(2), ""),
        (usd(2), usd(1.5), "it may cost 2.00 USD and its budget is 1.50 USD; nothing was sent"),
        (None, usd(5), "no price for gemini-9-flash; give one in VERTEXQ_PRICES or leave the budget out"),
    ],
)
def test_a_budget_is_kept_before_anything_is_sent(cost: int | None, budget: int | None, says: str) -> None:
    """A model without a price runs only where no budget was given."""
    found = over_budget(
        replace(COUNTED, cost_pusd=cost), budget, model="publishers/google/models/gemini-9-flash"
    )

    assert found.startswith(says)
    assert bool(found) == bool(says)


def test_the_daily_cap_is_told_with_its_numbers() -> None:
    """The sentence that a parked submission shows."""
    held = Held(by=HeldBy.DAILY_CAP, taken=usd(41.2), wanted=usd(12), bound=usd(50))

    assert held_sentence(held, replace(BATCH, project="demo")) == (
        "the project demo has spent 41.20 USD of its daily cap of 50.00 USD (since 00:00 UTC, running jobs "
        "by estimate); this batch may cost 12.00 USD; raise VERTEXQ_DAILY_CAP_USD or enqueue again tomorrow"
    )


def test_a_batch_that_no_day_can_hold_is_told_apart() -> None:
    """To wait for tomorrow would not help it."""
    held = Held(by=HeldBy.DAILY_CAP, taken=0, wanted=usd(60), bound=usd(50))

    assert "more than a day's cap" in held_sentence(held, BATCH)
    assert "tomorrow" not in held_sentence(held, BATCH)


def test_a_budget_that_is_used_up_is_told_with_its_numbers() -> None:
    """What was spent is part of it, not only this batch."""
    held = Held(by=HeldBy.BUDGET, taken=usd(4), wanted=usd(2), bound=usd(5))
    batch = replace(BATCH, estimate=replace(COUNTED, cost_pusd=usd(2)))

    assert "s-1 has spent 4.00 USD of its budget of 5.00 USD" in held_sentence(held, batch)
    assert held_sentence(held, BATCH).startswith("no price for gemini-2.5-flash")


def test_other_bounds_have_a_sentence_too() -> None:
    """Whoever shows why a batch waits can say it in words."""
    held = Held(by=HeldBy.ROWS, taken=900, wanted=200, bound=1_000)

    assert held_sentence(held, BATCH).startswith("900 rows are in flight at Google and 1,000 may be")
