"""What tables are called, and the instant at which one is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertexq.steps.table_copies import snapshot_of
from vertexq.steps.table_names import copy_of, is_output_of, stem, table_at

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


@pytest.mark.parametrize(
    ("modified_ms", "snapshot_ms"),
    [
        (NOON_MS - 1_000, NOON_MS - 999),
        (NOON_MS - 86_399_999, NOON_MS - 86_399_998),
        (NOON_MS - 10 * 86_400_000, NOON_MS - 12 * 3_600_000),  # BigQuery forgets: as of midnight
    ],
)
def test_a_table_is_read_just_behind_its_last_change(modified_ms: int, snapshot_ms: int) -> None:
    """So whoever comes later asks for the same copy."""
    assert snapshot_of(modified_ms, NOON) == snapshot_ms


def test_a_copy_is_called_by_the_table_and_the_instant() -> None:
    """It is in the same dataset."""
    one, same, other = (copy_of("bq://p.d.out", at) for at in (1, 1, 2))

    assert (one.project, one.dataset) == ("p", "d")
    assert one == same != other


def test_tables_of_two_ledgers_have_different_names() -> None:
    """Both may have a submission of the same id, and write to the same dataset."""
    mine, theirs = stem("b-1", "gs://mine/one/00000/"), stem("b-1", "gs://theirs/one/00000/")

    assert mine != theirs
    assert is_output_of("b-1", f"bq://p.d.{theirs}_a1_x")
    assert not is_output_of("b-10", f"bq://p.d.{theirs}_a1_x")


@pytest.mark.parametrize("address", ["gs://b/out", "bq://p.d", "bq://p", ""])
def test_an_address_without_a_table_names_none(address: str) -> None:
    """As while a job that chooses its own table has not ended."""
    assert table_at(address) is None
