"""Accounts of ranges: kept as bytes, merged into their batch's in any order with the same sum."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from vertexq import accounts, ranks, rowcosts
from vertexq.accounts import Merged, RangeAccount, Spent
from vertexq.model import Counts, Usage
from vertexq.ranks import RANK_BYTE
from vertexq.results import Outcome
from vertexq.rowcosts import RowCost

ROWS = 6
SUCCEEDED, BLOCKED, FAILED = (RANK_BYTE[one] for one in (Outcome.SUCCEEDED, Outcome.BLOCKED, Outcome.FAILED))
EMPTY = Merged(found=b"", counts=Counts(), usage=Usage(), cost_pusd=0, quarantined_lines=0, repeats=False)


def account(*own: int, told: frozenset[int] = frozenset()) -> RangeAccount:
    """Return the account of a range whose every row has cost ten tokens and ten pico-dollars."""
    found = [index for index, byte in enumerate(own) if byte]
    costs = {index: cost() for index in found if own[index] != SUCCEEDED}
    usage = Usage(total_tokens=10 * len(found), prompt_tokens=10 * len(found))
    return RangeAccount(
        own=bytes(own), usage=usage, cost_pusd=10 * len(found), costs=costs, told=told, lines=len(found)
    )


def cost() -> RowCost:
    """Return what each row has cost."""
    return RowCost(10, 0, 0, 0, 10, 10)


def merged(*parts: RangeAccount) -> Merged:
    """Merge accounts one after the other; rows answered twice are counted again at the same price."""
    known = EMPTY
    for part in parts:
        twice = accounts.doubly_answered(ranks.unpack(known.found, rows=ROWS), part.own)
        gone = Usage(total_tokens=10 * len(twice), prompt_tokens=10 * len(twice))
        spent = Spent(usage=gone, cost_pusd=10 * len(twice))
        known = accounts.merge(known, part, rows=ROWS, recounted=spent)
    return known


def test_an_account_comes_back_as_it_was() -> None:
    """Every field, through the bytes that a store keeps."""
    made = RangeAccount(
        own=bytes([SUCCEEDED, 0, FAILED, 0, 0, ranks.RETRYABLE]),
        usage=Usage(prompt_tokens=1, output_tokens=2, thoughts_tokens=3, cached_tokens=4, total_tokens=5),
        cost_pusd=6, costs={2: cost()}, told=frozenset({2, 5}), quarantined_lines=7, lines=8,
        crc32c=2**32 - 1,
    )  # fmt: skip

    assert accounts.decode(accounts.encode(made), rows=ROWS) == made
    assert accounts.decode(b"", rows=ROWS) == RangeAccount(own=bytes(ROWS))


def test_ranges_apart_add_up() -> None:
    """Nothing was found twice: sums, and no repeats."""
    found = merged(account(SUCCEEDED, 0, FAILED), account(0, SUCCEEDED, 0), account(*[0] * 5, BLOCKED))

    assert found.counts == Counts(succeeded=2, blocked=1, failed=1)
    assert (found.cost_pusd, found.usage.total_tokens, found.repeats) == (40, 40, False)


def test_a_row_found_twice_counts_once_whoever_was_first() -> None:
    """All orders give one account: the better answer and its cost."""
    parts = [
        account(FAILED, SUCCEEDED, 0, BLOCKED, 0, 0),
        account(SUCCEEDED, SUCCEEDED, BLOCKED, 0, 0, FAILED),
        account(BLOCKED, 0, FAILED, SUCCEEDED, 0, FAILED),
    ]
    found = {merged(*order) for order in permutations(parts)}

    assert len({(one.counts, one.cost_pusd, one.usage) for one in found}) == 1
    assert merged(*parts).counts == Counts(succeeded=3, blocked=1, failed=1)
    assert merged(*parts).cost_pusd == 50
    assert all(one.repeats for one in found)


def test_a_better_answer_that_the_store_was_told_of_is_no_repeat() -> None:
    """The store looked for the earlier row when it wrote the later one."""
    later = account(SUCCEEDED, told=frozenset({0}))

    assert not merged(account(FAILED), later).repeats
    assert merged(account(FAILED), account(SUCCEEDED)).repeats


def test_an_answer_of_an_earlier_batch_gives_way_and_keeps_its_price() -> None:
    """What was paid there is in that batch's account."""
    inherited = ranks.pack(bytes([ranks.inherited(ranks.RETRYABLE)] + [0] * 5))
    start = replace(EMPTY, found=inherited)
    found = accounts.merge(start, account(FAILED, SUCCEEDED, 0, 0, 0, 0), rows=ROWS)

    assert (found.counts, found.cost_pusd) == (Counts(succeeded=1, failed=1), 20)
    assert not found.repeats


def test_rows_that_a_store_sets_aside_move_in_the_account() -> None:
    """They are quarantined lines, and what they cost may be taken back."""
    before = bytes(ROWS)
    after = accounts.set_aside(account(SUCCEEDED, SUCCEEDED, 0, 0, 0, 0), {1: cost()}, before=before)

    assert after.own[:2] == bytes([SUCCEEDED, RANK_BYTE[Outcome.QUARANTINED]])
    assert (after.quarantined_lines, after.costs[1]) == (1, cost())


def test_what_goes_on_knows_the_better_of_both() -> None:
    """A range that is taken up again sees what others have found, and what it has found itself."""
    known = accounts.known_to(bytes([SUCCEEDED, FAILED, 0, BLOCKED]), bytes([FAILED, SUCCEEDED, BLOCKED, 0]))

    assert bytes(known) == bytes([SUCCEEDED, SUCCEEDED, BLOCKED, BLOCKED])
    assert rowcosts.decode(b"") == {}
