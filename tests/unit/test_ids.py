"""Ids: what may be one, and that those we make are labels Google takes."""

from __future__ import annotations

import re

import pytest

from vertexq.errors import BadInput
from vertexq.ids import attempt_tag, batch_id, checked_submission_id, new_submission_id

LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def test_new_ids_differ_and_can_be_ids() -> None:
    """80 random bits: two of a thousand are never the same."""
    made = {new_submission_id() for _ in range(1_000)}

    assert len(made) == 1_000
    assert all(checked_submission_id(one) == one for one in made)


@pytest.mark.parametrize("text", ["a", "7", "nightly.2026-11-21_v2", "A" * 63])
def test_ids_of_letters_digits_and_a_little_more_are_taken(text: str) -> None:
    """What people put into file names works."""
    assert checked_submission_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "ä", "a\x00", "A" * 64, "../a", "a:b"]
)
def test_other_ids_are_refused(text: str) -> None:
    """An id becomes part of object names and labels."""
    with pytest.raises(BadInput, match="cannot be an id"):
        checked_submission_id(text)


def test_a_batch_has_the_same_id_every_time_it_is_staged() -> None:
    """The id is how a job is found again after a crash."""
    assert batch_id("s-1", "f", 0) == batch_id("s-1", "f", 0)


def test_batches_differ_by_submission_content_and_ordinal() -> None:
    """Also when a submission's id was used before with other content."""
    made = {
        batch_id("s-1", "f", 0),
        batch_id("s-1", "f", 1),
        batch_id("s-1", "g", 0),
        batch_id("s-2", "f", 0),
    }

    assert len(made) == 4
    assert batch_id("s-1", "2f", 0) != batch_id("s-12", "f", 0)


def test_a_batch_id_is_a_label_that_google_takes() -> None:
    """Lower-case letters, digits and dashes; also at the billionth batch."""
    assert LABEL_VALUE.fullmatch(batch_id("N" * 63, "f", 10**9))


def test_no_two_attempts_share_a_directory() -> None:
    """The tag says which attempt it was and is fresh every time."""
    tags = {attempt_tag(3) for _ in range(100)}

    assert len(tags) == 100
    assert all(re.fullmatch(r"a3-[a-z2-7]{8}", tag) for tag in tags)
