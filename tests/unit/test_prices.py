"""Prices: which line of the table holds, and what a row costs, worked out by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson
import pytest

from vertexq import ranks
from vertexq.families.gemini_reading import reading as gemini_reading
from vertexq.lines import Block
from vertexq.model import PUSD_PER_USD
from vertexq.prices import Price, PriceBook
from vertexq.rows import ReadContext, Reading, RowReader

TODAY = date(2026, 11, 21)
BOOK = PriceBook.shipped()
FLASH = Price(150_000, 1_250_000, 30_000, audio_pusd=500_000)
"""gemini-2.5-flash: 0.15 and 1.25 USD a million tokens; cached ones a tenth of 0.30."""
CONTEXT = ReadContext(
    submission_id="s",
    batch_id="b",
    attempt=1,
    rows=1,
    source_object="gs://b/o",
    source_generation=1,
    price=FLASH,
)


def test_the_price_of_a_model_is_in_pico_dollars_a_token() -> None:
    """One US dollar a million tokens is a million pico-dollars a token."""
    assert BOOK.price_of("gemini-2.5-flash", TODAY) == FLASH


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [
        ((1_000_000, 0, 0, 0), 0.15),
        ((0, 1_000_000, 0, 0), 1.25),
        ((0, 0, 1_000_000, 0), 1.25),  # thoughts cost what output costs
        ((1_000_000, 0, 0, 1_000_000), 0.03),  # all of it from the cache
        ((1_000_000, 0, 0, 400_000), 0.102),  # 0.6 * 0.15 + 0.4 * 0.03
        ((100, 10, 0, 0), 0.0000275),
        ((0, 0, 0, 0), 0.0),
    ],
)
def test_a_row_costs_what_its_tokens_cost(tokens: tuple[int, int, int, int], usd: float) -> None:
    """Prompt tokens include the cached ones; whole pico-dollars, so no sum depends on its order."""
    prompt, output, thoughts, cached = tokens
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": cached,
    }
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}
    response = {"candidates": [candidate], "usageMetadata": usage}
    line = orjson.dumps({"key": "r0-a", "status": "", "response": response})
    reader, reading = RowReader(CONTEXT, gemini_reading(), ranks.empty(1)), Reading()

    reader.read(Block(0, [line]), reading)

    assert reading.rows[0].cost_usd == reader.cost_pusd / PUSD_PER_USD == usd


@pytest.mark.parametrize(
    ("model", "input_pusd"),
    [
        ("gemini-2.5-flash", 150_000),
        ("gemini-2.5-flash-lite", 50_000),
        ("gemini-2.5-flash-001", 150_000),
        ("gemini-2.5-flash@default", 150_000),
        ("gemini-2.5-flash-preview-09-2025", 150_000),
        ("gemini-2.5-flash-lite-preview-09-2025", 50_000),
        ("publishers/google/models/gemini-2.5-pro", 625_000),
        ("projects/p/locations/l/publishers/google/models/gemini-2.0-flash-lite-001", 37_500),
        ("gemini-3-flash-preview", 250_000),
    ],
)
def test_versions_and_paths_find_the_price_of_their_model(model: str, input_pusd: int) -> None:
    """A dated version costs what its model costs, and a lite model never what the large one does."""
    price = BOOK.price_of(model, TODAY)

    assert price is not None
    assert price.input_pusd == input_pusd


@pytest.mark.parametrize(
    "model", ["gemini-9-flash", "gemini-2.5-flash-image", "gemini-2.5-flashy", "gemini-2.5", "", "claude"]
)
def test_a_model_that_is_not_in_the_table_has_no_price(model: str) -> None:
    """No price is better than a wrong one: the cost is then left open."""
    assert BOOK.price_of(model, TODAY) is None


def test_a_price_holds_from_its_date_on() -> None:
    """Before a model was sold it had no price."""
    assert BOOK.price_of("gemini-2.5-flash", date(2025, 6, 16)) is None
    assert BOOK.price_of("gemini-2.5-flash", date(2025, 6, 17)) == FLASH


def test_the_online_price_is_a_price_of_its_own() -> None:
    """Cached tokens cost the same both ways; audio has its own online price, or twice the batch's."""
    flash = BOOK.price_of("gemini-2.5-flash", TODAY, online=True)
    preview = BOOK.price_of("gemini-3-flash-preview", TODAY, online=True)

    assert flash is not None
    assert (flash.input_pusd, flash.output_pusd, flash.cached_pusd) == (300_000, 2_500_000, FLASH.cached_pusd)
    assert flash.audio_pusd == 1_000_000
    assert preview is not None
    assert preview.audio_pusd == 1_000_000


def test_embeddings_cost_their_input(tmp_path: Path) -> None:
    """Of a model without a batch price nothing is made up; a price file may say the same."""
    told = tmp_path / "prices.json"
    told.write_text(orjson.dumps(BOOK.to_json()).decode())

    assert BOOK.price_of("gemini-embedding-001", TODAY) == Price(120_000, 0, 120_000)
    for book in (BOOK, PriceBook.from_file(told)):
        assert book.price_of("text-embedding-005", TODAY) is None
        assert book.price_of("text-embedding-005", TODAY, online=True) == Price(100_000, 0, 100_000)


def test_long_prompts_cost_twice_as_much_online() -> None:
    """As all tokens do, but those from the cache."""
    batch, online = (BOOK.price_of("gemini-2.5-pro", TODAY, online=online) for online in (False, True))

    assert batch is not None
    assert online is not None
    assert batch.long is not None
    assert online.long == Price(2 * batch.long.input_pusd, 2 * batch.long.output_pusd, batch.long.cached_pusd)


def test_a_model_without_an_online_price_has_none() -> None:
    """It is not guessed."""
    assert BOOK.price_of("claude-haiku-4-5", TODAY) is not None
    assert BOOK.price_of("claude-haiku-4-5", TODAY, online=True) is None
