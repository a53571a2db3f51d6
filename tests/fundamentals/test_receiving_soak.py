"""Everything that may befall output, at once: see ``receiving_soak`` and ``receiving_oracle``."""

from __future__ import annotations

from tests.fundamentals.house import House
from tests.fundamentals.receiving_oracle import faults_of
from tests.fundamentals.receiving_soak import Told, received


async def test_every_row_is_the_best_that_google_gave_and_counted_once(house: House) -> None:
    """Early exports, doubled rows, torn downloads, rounds, retries by hand, cancels, dying workers."""
    told = Told()
    soak = await received(house, told, seed=7, submissions=4, share=0.02)

    assert await faults_of(soak, told) == []
