"""The state of a batch, a byte a row: what was found, how well, and how it is kept."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from vertexq import ranks
from vertexq.model import Counts
from vertexq.results import OUTCOME_RANK, Outcome

STATES = st.binary(max_size=200).map(lambda data: bytearray(byte % 24 for byte in data))


def state(*outcomes: Outcome | None) -> bytearray:
    """Return the state of a batch with these outcomes; None is a row that has not been found."""
    return bytearray(ranks.RANK_BYTE[one] if one else ranks.NOT_FOUND for one in outcomes)


def test_a_new_batch_has_found_nothing() -> None:
    """No row is counted under any outcome."""
    assert ranks.counts(ranks.empty(3)) == Counts()
    assert list(ranks.empty(3)) == [ranks.NOT_FOUND] * 3


def test_rows_are_counted_by_outcome() -> None:
    """Rows that were not found are in no count."""
    found = state(Outcome.SUCCEEDED, None, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.MISSING)

    assert ranks.counts(found) == Counts(succeeded=2, failed=1, missing=1)


def test_every_outcome_has_a_byte_and_a_better_one_has_a_higher_byte() -> None:
    """Succeeded over blocked over failed over quarantined over missing over not found."""
    by_rank = sorted(Outcome, key=lambda outcome: OUTCOME_RANK[outcome])

    assert by_rank == ["missing", "quarantined", "failed", "blocked", "succeeded"]
    assert [ranks.RANK_BYTE[outcome] for outcome in by_rank] == [6, 10, 14, 18, 22]


def test_a_failed_row_whose_error_may_pass_counts_as_failed_and_is_no_better_than_another() -> None:
    """408, 429 and 5xx may pass; what Google has not built (501) will not."""
    failed = Outcome.FAILED
    assert [ranks.byte_of(failed, code) for code in (408, 429, 500, 503)] == [ranks.RETRYABLE] * 4
    assert [ranks.byte_of(failed, code) for code in (None, 400, 501)] == [ranks.RANK_BYTE[failed]] * 3
    assert not ranks.is_better(ranks.RETRYABLE, ranks.RANK_BYTE[failed])
    assert not ranks.is_better(ranks.RANK_BYTE[failed], ranks.RETRYABLE)
    assert ranks.counts(bytes([ranks.RETRYABLE])).failed == 1


def test_what_was_inherited_gives_way_to_an_own_answer_that_is_as_good() -> None:
    """But never to a worse one; it counts like an own one."""
    was = ranks.inherited(ranks.RETRYABLE)

    assert ranks.is_better(ranks.RANK_BYTE[Outcome.FAILED], was)
    assert not ranks.is_better(ranks.RANK_BYTE[Outcome.QUARANTINED], was)
    assert ranks.counts(bytes([was])).failed == 1


def test_a_row_that_was_handed_over_is_in_no_count() -> None:
    """The successor accounts for it; it is not a row without an answer either."""
    assert ranks.counts(bytes([ranks.HANDED_OVER])) == Counts()
    assert ranks.HANDED_OVER != ranks.NOT_FOUND


def test_what_an_older_version_packed_is_read() -> None:
    """It wrote the outcome's rank plus one, without a mark in front."""
    old = zlib.compress(bytes([0, 1, 2, 3, 4, 5]) + b"notes", 1)

    assert ranks.unpack(old, rows=6) == bytearray([0, *ranks.RANK_BYTE.values()])
    assert ranks.notes(old, rows=6) == b"notes"


@given(found=STATES)
def test_what_is_packed_is_unpacked(found: bytearray) -> None:
    """The ledger gives back what was put in."""
    assert ranks.unpack(ranks.pack(found), rows=len(found)) == found


def test_notes_are_kept_behind_the_rows() -> None:
    """They do not change what is read of the rows; without notes there are none."""
    packed = ranks.pack(state(Outcome.BLOCKED, None), b"notes")

    assert ranks.unpack(packed, rows=2) == state(Outcome.BLOCKED, None)
    assert ranks.notes(packed, rows=2) == b"notes"
    assert ranks.notes(ranks.pack(b"\x16"), rows=1) == ranks.notes(b"", rows=3) == b""


def test_nothing_packed_is_a_batch_without_findings() -> None:
    """A batch that was never ingested has an empty column."""
    assert ranks.unpack(b"", rows=4) == bytearray(4)


def test_a_full_batch_packs_into_a_few_kilobytes() -> None:
    """200,000 rows with a failure here and there stay small enough for every commit."""
    found = bytearray([ranks.RANK_BYTE[Outcome.SUCCEEDED]]) * 200_000
    found[::1000] = bytes([ranks.RANK_BYTE[Outcome.FAILED]]) * 200

    assert len(ranks.pack(found)) < 10_000


def test_a_worse_answer_shows_that_its_row_was_answered_and_changes_nothing_else() -> None:
    """What was inherited becomes the batch's own; what is its own stays as it is."""
    was = ranks.inherited(ranks.RANK_BYTE[Outcome.BLOCKED])
    stays = ranks.outlived(was, ranks.OUTDONE)

    assert (ranks.answered(bytes([was])), ranks.answered(bytes([stays]))) == (0, 1)
    assert ranks.outcome_of(stays) is Outcome.BLOCKED
    assert ranks.outlived(stays, ranks.OUTDONE) == stays
