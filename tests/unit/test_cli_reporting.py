"""What commands print for scripts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from vertexq.cli.reporting import say_json


@dataclass(frozen=True, slots=True)
class Said:
    """Something with a moment and a value that a model wrote."""

    at: datetime
    value: object


@pytest.mark.parametrize("value", [{"n": 2**70}, ["\ud800"], {"n": 1}, None, "\u2028", [[-(2**64)]]])
def test_whatever_a_model_wrote_can_be_printed(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    """On one line, with numbers of any length, and moments in the same form."""
    say_json(Said(at=datetime(2026, 11, 21, 12, tzinfo=UTC), value=value))

    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert json.loads(said) == {"at": "2026-11-21T12:00:00Z", "value": value}
