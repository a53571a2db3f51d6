"""The list of submissions on terminals of any width: which columns fit, and which are left out."""

from __future__ import annotations

import pytest

from tests.unit.test_status_of import SUBMISSION
from vertexq.cli.standing import COLUMNS, say_status, shown_columns
from vertexq.recipients import Told
from vertexq.status import status_of

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


def test_what_receivers_took_and_what_was_given_up_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody needs to know another command to see that a receiver misses something."""
    why = "the receiver answered HTTP 500; given up after 10 tries"
    told = [
        Told(target="webhook:hook", waiting=0, delivered=3, abandoned=1, reason=why),
        Told(target="task:app.done@celery", waiting=2, delivered=0, abandoned=0, reason=""),
    ]
    status = status_of(SUBMISSION, [], told=told)

    say_status(status)

    lines = capsys.readouterr().out.splitlines()
    hook = f"webhook:hook: 3 taken, 1 given up ({why}); once more with: vertexq deliveries s-1 --again"
    assert f"told          {hook}" in lines
    assert "told          task:app.done@celery: 2 waiting" in lines
    assert status.to_json()["deliveries"][1]["waiting"] == 2
