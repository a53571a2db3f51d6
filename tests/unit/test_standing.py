"""The list of submissions on terminals of any width: which columns fit, and which are left out."""

from __future__ import annotations

import pytest

from vertexq.cli.standing import COLUMNS, shown_columns

ROW = (
    "nightly-2026-11-21",
    "done",
    "gemini-2.5-flash",
    "results",
    "200000",
    "200000",
    "12",
    "0.051625",
    "x" * 25,
)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, set[str]()),
        (113, set[str]()),
        (112, {"created"}),
        (80, {"created", "store"}),
        (70, {"created", "store", "model"}),
        (50, {"created", "store", "model", "cost"}),
        (10, {"created", "store", "model", "cost"}),
    ],
)
def test_columns_are_left_out_until_the_others_are_whole(width: int, left_out: set[str]) -> None:
    """Id, state and counts always stay; the id is folded when even they do not fit."""
    shown = {COLUMNS[at] for at in shown_columns([ROW], width=width)}

    assert set(COLUMNS) - shown == left_out
