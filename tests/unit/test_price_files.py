"""Price tables of a user's own: which line wins, and how a broken one is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from vertexq import BadSettings
from vertexq.prices import PriceBook

TODAY = date(2026, 11, 21)
LINE = {"model": "gemini-2.5-flash", "from": "2026-11-01", "input": "1", "output": "2"}


def book(tmp_path: Path, *lines: dict[str, Any]) -> PriceBook:
    """Return the shipped prices with some of a user's own on top."""
    file = tmp_path / "prices.json"
    file.write_bytes(orjson.dumps({"source": "our contract", "prices": lines}))
    return PriceBook.from_file(file)


def input_of(prices: PriceBook, model: str, on: date = TODAY) -> int | None:
    """Return what an input token costs, in pico-dollars."""
    price = prices.price_of(model, on)
    return price.input_pusd if price else None


def test_a_users_line_wins_over_the_shipped_one_from_its_day_on(tmp_path: Path) -> None:
    """Before that day, and for every other model, what was shipped still holds."""
    prices = book(tmp_path, LINE)

    assert input_of(prices, "gemini-2.5-flash") == 1_000_000
    assert input_of(prices, "gemini-2.5-flash-001") == 1_000_000
    assert input_of(prices, "gemini-2.5-flash", date(2026, 10, 31)) == 150_000
    assert input_of(prices, "gemini-2.5-flash-lite") == 50_000


def test_of_several_lines_the_latest_that_has_begun_holds(tmp_path: Path) -> None:
    """A rise that is known ahead can be written down ahead."""
    prices = book(tmp_path, LINE, {**LINE, "from": "2026-12-01", "input": "3"})

    assert input_of(prices, "gemini-2.5-flash", date(2026, 11, 30)) == 1_000_000
    assert input_of(prices, "gemini-2.5-flash", date(2026, 12, 1)) == 3_000_000


def test_a_price_ends_with_its_last_day(tmp_path: Path) -> None:
    """After a promotion there is no price rather than the wrong one."""
    prices = book(tmp_path, {**LINE, "model": "gemini-9-flash", "until": "2026-11-21"})

    assert input_of(prices, "gemini-9-flash", date(2026, 11, 21)) == 1_000_000
    assert input_of(prices, "gemini-9-flash", date(2026, 11, 22)) is None


@pytest.mark.parametrize("price", ["0.15", 0.15, "0.150000"], ids=["text", "number", "zeros"])
def test_a_price_may_be_text_or_a_number(tmp_path: Path, price: object) -> None:
    """Neither loses a digit."""
    assert input_of(book(tmp_path, {**LINE, "input": price}), "gemini-2.5-flash") == 150_000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input": "cheap"}, r'price 1 \(gemini-2.5-flash\): "input" must be US dollars'),
        ({"input": -1}, '"input" must be US dollars'),
        ({"input": "nan"}, '"input" must be US dollars'),
        ({"input": True}, '"input" must be US dollars'),
        ({"output": "0.0000001"}, "at most six decimals"),
        ({"from": "yesterday"}, '"from" must be a day such as 2026-11-21'),
        ({"until": "2026-10-31"}, r'"until" \(2026-10-31\) is before "from"'),
        ({"model": "publishers/google/models/x"}, '"model" must be a model\'s short name'),
        ({"imput": "1"}, 'there is no field "imput"'),
        ({"long_input": "1"}, 'need "long_from_tokens"'),
        ({"long_from_tokens": 0}, '"long_from_tokens" must be a number of tokens'),
    ],
)
def test_what_is_wrong_in_a_line_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """The error names the variable, the line, the model and the field."""
    with pytest.raises(BadSettings, match=says) as caught:
        book(tmp_path, {**LINE, **change})

    assert "VERTEXQ_PRICES" in str(caught.value)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    """Nobody should have to start a worker five times."""
    with pytest.raises(BadSettings) as caught:
        book(tmp_path, {"model": "a"}, {**LINE, "input": "x"}, {**LINE, "model": "b"}, {**LINE, "model": "b"})

    said = str(caught.value)
    assert 'price 1 (a) has no "from"' in said
    assert "price 2 (gemini-2.5-flash)" in said
    assert "two prices of b begin on 2026-11-01" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"prices": [\n{"model": }]}', "line 2 is not valid JSON"),
        ("[]", 'an object with a list "prices"'),
        ('{"prices": {}}', 'an object with a list "prices"'),
        ('{"prices": [1]}', "price 1 is no object"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Before anything is sent, and with what to do."""
    file = tmp_path / "prices.json"
    file.write_text(text)

    with pytest.raises(BadSettings, match=says):
        PriceBook.from_file(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The sentence says which variable names it."""
    with pytest.raises(BadSettings, match=r"VERTEXQ_PRICES names .*none\.json, which cannot be read"):
        PriceBook.open(tmp_path / "none.json")


def test_the_table_that_is_printed_is_a_table_that_can_be_read(tmp_path: Path) -> None:
    """A user may copy it, change a line, and name it in VERTEXQ_PRICES."""
    shipped = PriceBook.shipped()
    file = tmp_path / "copy.json"
    file.write_bytes(orjson.dumps(shipped.to_json()))

    copied = PriceBook.from_file(file)

    assert copied.lines() == shipped.lines()


def test_the_shipped_table_says_where_it_is_from_and_when_it_was_read() -> None:
    """A price without a source is a rumour."""
    ((source, read),) = PriceBook.shipped().sources()

    assert "not an official price page" in source
    assert date.fromisoformat(read) <= TODAY


@pytest.mark.parametrize(
    ("model", "batch_in", "batch_out"),
    [
        ("gemini-2.5-pro", 625_000, 5_000_000),
        ("gemini-3.5-flash", 750_000, 4_500_000),
        ("gemini-3.7-flash", 375_000, 1_875_000),
        ("gemini-embedding-001", 120_000, 0),
        ("gemini-embedding-2", 100_000, 0),
        ("publishers/anthropic/models/claude-sonnet-4-5@20250929", 1_500_000, 7_500_000),
        ("claude-opus-4-5", 2_500_000, 12_500_000),
    ],
)
def test_the_shipped_prices(model: str, batch_in: int, batch_out: int) -> None:
    """As they stood in the source on the day it was read."""
    price = PriceBook.shipped().price_of(model, TODAY)

    assert price is not None
    assert (price.input_pusd, price.output_pusd) == (batch_in, batch_out)


def test_a_long_prompt_of_gemini_2_5_pro_costs_twice() -> None:
    """Above 200,000 tokens the input price doubles."""
    price = PriceBook.shipped().price_of("gemini-2.5-pro", TODAY)

    assert price is not None
    assert price.long is not None
    assert (price.long_from_tokens, price.long.input_pusd) == (200_000, 1_250_000)


def test_a_promotion_ends() -> None:
    """What these models cost in 2027 is not known yet, so they have no price then."""
    assert PriceBook.shipped().price_of("gemini-3.8-flash", date(2027, 1, 1)) is None
