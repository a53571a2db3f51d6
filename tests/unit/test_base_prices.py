"""A model without a price of its own costs what the model does that it was tuned from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson

from vertexq.prices import PriceBook

ON = date(2026, 11, 21)
TUNED = "projects/p/locations/us-central1/models/17@2"


def test_a_tuned_model_has_its_base_s_price() -> None:
    """And none when nobody knows from what it was tuned."""
    book = PriceBook.shipped()

    assert book.price_of(TUNED, ON) is None
    assert book.with_base(TUNED, "gemini-2.5-flash").price_of(TUNED, ON) == book.price_of(
        "gemini-2.5-flash", ON
    )
    assert book.with_base(TUNED, "").price_of(TUNED, ON) is None


def test_a_price_of_its_own_wins(tmp_path: Path) -> None:
    """A line of the user's with the model's id."""
    shipped = PriceBook.shipped().to_json()
    line = {"model": "17", "from": "2026-01-01", "input": 1, "output": 2}
    file = tmp_path / "prices.json"
    file.write_bytes(orjson.dumps({**shipped, "prices": [line]}))
    book = PriceBook.from_file(file).with_base(TUNED, "gemini-2.5-flash")

    price = book.price_of(TUNED, ON)

    assert price is not None
    assert (price.input_pusd, price.output_pusd) == (1_000_000, 2_000_000)
