"""The line on a terminal that says how far reading has come."""

from __future__ import annotations

import pytest

from vertexq.cli.looking import Looking


def test_where_nobody_looks_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is no terminal here: neither a count nor an escape code is written."""
    with Looking("rows.jsonl") as looking:
        looking.at(1_000_000)
        looking.clear()

    assert capsys.readouterr() == ("", "")
