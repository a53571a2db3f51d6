"""Stored values become results without being changed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from vertexq.results import RESULT_COLUMNS
from vertexq.stores.columns import COLUMNS, decode, instant
from vertexq.stores.poison import best_of, set_aside, unstorable
from vertexq.testing.store_rows import row


def test_the_columns_are_those_of_the_model() -> None:
    """In the same order; the stores build their tables from this list."""
    assert tuple(column.name for column in COLUMNS) == RESULT_COLUMNS


def test_every_column_is_documented() -> None:
    """With its name and its type."""
    page = Path(__file__).parents[2].joinpath("docs/stores.md").read_text()

    assert [c.name for c in COLUMNS if f"| `{c.name}` | {c.type} |" not in page] == []


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (None, None),
        ("2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-21T10:00:00.123456789Z", datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2026-11-21T12:00:00+02:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-11-21T10:00:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("2026-13-45T99:00:00Z", None),
        ("9999-12-31T23:59:59-10:00", None),  # would be in the year 10000 in UTC
    ],
)
def test_an_instant_is_read_in_utc(text: str | None, read: datetime | None) -> None:
    """Nanoseconds are cut to microseconds; what is no instant is None."""
    assert instant(text) == read


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ('{"n": 18446744073709551616}', {"n": 2**64}),
        (b'{"n": -18446744073709551617}', {"n": -(2**64) - 1}),
        ('{"n": 18446744073709551615}', {"n": 2**64 - 1}),
        ('{"t": "\\ud800"}', {"t": "\ud800"}),
        ('{"n": 0.12345678901234567890123}', {"n": 0.12345678901234568}),
        ("[" + "7" * 5000 + "]", [Decimal("7" * 5000)]),
    ],
)
def test_json_is_read_exactly(raw: str | bytes, value: object) -> None:
    """Also where fast decoders round or refuse."""
    assert decode(raw) == value


def test_only_refused_rows_are_set_aside() -> None:
    """Halving finds each of them; the others are the very same rows in the same order."""
    rows = [row(f"k{number}", text="bad" if number in {0, 13, 14, 99} else "good") for number in range(100)]

    mended = set_aside(rows, lambda some: "bad text" if any(r.text == "bad" for r in some) else "")

    assert mended.keys == {"k0", "k13", "k14", "k99"}
    assert [r.key for r in mended.rows] == [r.key for r in rows]
    assert all(one is other for one, other in zip(mended.rows, rows, strict=True) if other.text == "good")
    assert [line.raw for line in mended.lines] == [b"bad"] * 4


def test_a_quarantined_line_keeps_a_kilobyte() -> None:
    """And says how long the whole was."""
    mended = set_aside([row("k", response=b"x" * 5000)], lambda some: "no" if some[0].response else "")

    (line,) = mended.lines
    assert (len(line.raw), line.size_bytes) == (1024, 5000)


def test_text_and_numbers_no_store_takes_are_named() -> None:
    """The reason says which column is at fault, not what is in it."""
    assert unstorable([row("a"), row("b", text="\ud800")]) == "text holds a lone surrogate"
    assert unstorable([row("a", error_code=2**63)]) == "error_code is an integer of more than 64 bits"
    assert unstorable([row("a", response=b"\xff")]) == "response is not UTF-8"
    assert unstorable([row("a", text="fine")]) == ""


def test_the_best_row_of_a_key_is_kept() -> None:
    """A chunk in which no key repeats is returned as it is."""
    single = (row("a"), row("b"))
    repeated = (row("a", outcome="failed"), row("b"), row("a", text="best"), row("a", outcome="missing"))

    assert best_of(single) is single
    assert best_of(repeated) == (row("a", text="best"), row("b"))
