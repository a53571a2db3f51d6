"""The part of the store contract about vectors: what comes back of their numbers."""

# ruff: noqa: S101  (these are tests)

from __future__ import annotations

import json
import random
import struct
from typing import ClassVar

from vertexq.results import Row
from vertexq.stores import Store
from vertexq.testing.store_rows import STEP_BYTES, SUBMISSION, chunk, row

SIZE = 768


class StoreVectors:
    """Tests of the column ``embedding``. Part of ``StoreContract``; do not subclass it alone."""

    keeps_numbers_whole: ClassVar[bool] = False
    """Whether a number comes back as it was written, and not as the nearest one of 32 bits."""

    def test_vectors_come_back(self, store: Store) -> None:
        """Every number as the nearest of 32 bits, or as it was; before and after ``finish``."""
        vectors = {f"k{number}": _numbers(random.Random(number)) for number in range(40)}
        store.write(chunk(*(_row(key, numbers) for key, numbers in vectors.items())), fence=1)
        wanted = {key: self._kept(numbers) for key, numbers in vectors.items()}

        for _ in range(2):
            assert {one.key: one.embedding for one in store.results(SUBMISSION)} == wanted
            store.finish(SUBMISSION)

    def test_vectors_of_any_length_come_back_beside_rows_without(self, store: Store) -> None:
        """A store that was told of no size takes what comes, chunk by chunk."""
        rows = [row("none"), _row("one", [0.5]), _row("two", [-0.25, 4.0]), row("failed", outcome="failed")]
        store.write(chunk(*rows), fence=1)
        store.write(chunk(row("later"), _row("three", [1.0, 2.0, 3.0]), start=STEP_BYTES), fence=1)

        for _ in range(2):
            found = {one.key: one.embedding for one in store.results(SUBMISSION)}
            assert {key: numbers for key, numbers in found.items() if numbers is not None} == {
                "one": [0.5],
                "two": [-0.25, 4.0],
                "three": [1.0, 2.0, 3.0],
            }
            assert len(found) == len(rows) + 2
            store.finish(SUBMISSION)

    def test_a_vector_is_read_however_it_is_spelt(self, store: Store) -> None:
        """White space, whole numbers and exponents."""
        store.write(chunk(row("a", embedding=b"[\n  0.5,\r\n\t-2 , 1.5e1,2.5E-1,\n0\n]")), fence=1)

        (found,) = store.results(SUBMISSION)
        assert found.embedding == [0.5, -2.0, 15.0, 0.25, 0.0]

    def test_a_vector_is_replaced_with_its_row(self, store: Store) -> None:
        """A better answer of a later round takes its place, and a failed one is filled."""
        first = [_row("a", [1.0, 2.0]), row("b", outcome="failed"), _row("c", [5.0])]
        store.write(chunk(*first), fence=1)
        later = [_row("a", [3.0, 4.0], attempt=2), _row("b", [0.5], attempt=2)]
        store.write(chunk(*later, start=STEP_BYTES, replacing=["a", "b"]), fence=1)

        found = {one.key: one.embedding for one in store.results(SUBMISSION)}
        assert found == {"a": [3.0, 4.0], "b": [0.5], "c": [5.0]}

    def _kept(self, numbers: list[float]) -> list[float]:
        form = f"<{len(numbers)}f"
        return numbers if self.keeps_numbers_whole else list(struct.unpack(form, struct.pack(form, *numbers)))


def _row(key: str, numbers: list[float], *, attempt: int = 1) -> Row:
    return row(key, embedding=json.dumps(numbers).encode(), embedding_norm=1.0, attempt=attempt)


def _numbers(dice: random.Random) -> list[float]:
    """Return what models give, and numbers of every size that 32 bits hold, the smallest included."""
    usual = [dice.uniform(-1, 1) / 20 for _ in range(SIZE // 2)]
    return usual + [dice.uniform(-1, 1) * 2.0 ** dice.randint(-150, 127) for _ in range(SIZE - SIZE // 2)]
