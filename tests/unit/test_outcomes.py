"""Outcomes that a caller asks for, by their words."""

from __future__ import annotations

import pytest

from vertexq.by_hand import wanted
from vertexq.errors import BadInput
from vertexq.results import Outcome, outcomes_of


def test_one_word_stands_for_itself_and_not_for_its_letters() -> None:
    """A text is a collection, too: ``outcomes="failed"`` would otherwise find nothing, in silence."""
    assert outcomes_of("failed") == outcomes_of([Outcome.FAILED]) == {Outcome.FAILED}
    assert wanted(Outcome.FAILED, None) == wanted(["failed"], None)


def test_a_word_that_is_no_outcome_is_an_error() -> None:
    """And those that there are are named."""
    with pytest.raises(BadInput, match="'nope' is no outcome; there are succeeded, blocked"):
        outcomes_of(["failed", "nope"])
