"""The simulator's read masks take both spellings and paths."""

from __future__ import annotations

import pytest

from vertexq.errors import Refused
from vertexq.simulator.fieldmask import masked

JOB = {"name": "n", "displayName": "d", "completionStats": {"failedCount": "1", "successfulCount": "2"}}


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        ("", JOB),
        ("*", JOB),
        ("name", {"name": "n"}),
        ("name, display_name", {"name": "n", "displayName": "d"}),
        ("displayName,endTime", {"displayName": "d"}),
        ("completion_stats.failed_count", {"completionStats": {"failedCount": "1"}}),
        ("name.x", {}),
        (
            "completionStats.failedCount,completionStats.successfulCount",
            {"completionStats": JOB["completionStats"]},
        ),
    ],
)
def test_a_mask_leaves_what_it_names(mask: str, kept: dict[str, object]) -> None:
    """What is not there is not named; nothing and a star leave everything."""
    assert masked(JOB, mask) == kept


@pytest.mark.parametrize("mask", ["name,", "a b", "name()", ".name"])
def test_a_mask_that_cannot_be_read_is_refused(mask: str) -> None:
    """The 400 names the mask."""
    with pytest.raises(Refused, match="Invalid field mask"):
        masked(JOB, mask)
