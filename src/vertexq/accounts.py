"""What one range of output has brought, and how that becomes part of its batch's account. No I/O.

Ranges are read at the same time, each with what was known of the batch when it began. Each keeps its own
account in the store's progress, in the same commit as its rows; when it is done the account is merged into
the batch's. A row that two ranges have found counts once, with the better answer and what that cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any

import orjson

from vertexq import ranks, rowcosts
from vertexq.model import Counts, Usage
from vertexq.ranks import RANK_BYTE
from vertexq.results import Outcome
from vertexq.rowcosts import RowCost

_MASK = bytes([0, *[0xFF] * 255])
_SUCCEEDED, _QUARANTINED = RANK_BYTE[Outcome.SUCCEEDED], RANK_BYTE[Outcome.QUARANTINED]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeAccount:
    """What a range has brought so far.

    ``own`` holds a byte a row of the batch (see ``vertexq.ranks``): how the rows came out that stand in this
    range, ``OUTDONE`` for those with an answer worse than an inherited one, 0 for all others. ``costs`` are
    those of its rows that a better answer may replace, by index; ``told`` the indexes of rows of which the
    store was told that there may be an earlier one. ``crc32c`` is that of the range's bytes up to the last
    committed line, ``lines`` how many lines that were. ``ahead`` says that a crash left a store ahead of the
    one that keeps the account: it may hold rows that were judged otherwise when they were read again.
    """

    own: bytes
    usage: Usage = field(default_factory=Usage)
    cost_pusd: int = 0
    costs: Mapping[int, RowCost] = field(default_factory=dict[int, RowCost])
    told: frozenset[int] = frozenset()
    quarantined_lines: int = 0
    lines: int = 0
    crc32c: int = 0
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A batch's account with a range in it.

    ``repeats`` says that a row was written by two ranges neither of which knew of the other.
    """

    found: bytes  # packed
    counts: Counts
    usage: Usage
    cost_pusd: int
    quarantined_lines: int
    repeats: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Tokens and money."""

    usage: Usage = field(default_factory=Usage)
    cost_pusd: int = 0


def encode(account: RangeAccount) -> bytes:
    """Write an account as a store's progress keeps it."""
    head = [
        list(astuple(account.usage)),
        account.cost_pusd,
        account.quarantined_lines,
        account.crc32c,
        account.lines,
        sorted(account.told),
        account.ahead,
    ]
    return orjson.dumps(head) + b"\n" + ranks.pack(account.own, rowcosts.encode(account.costs))


def decode(state: bytes, *, rows: int) -> RangeAccount:
    """Read what ``encode`` wrote for a batch of ``rows`` rows; nothing is an empty account.

    One that was written before ranges had accounts of their own has neither lines nor told rows in it.
    """
    if not state:
        return RangeAccount(own=bytes(rows))
    head, _, packed = state.partition(b"\n")
    said: list[Any] = orjson.loads(head)
    said += [0, [], False][len(said) - 4 :]
    tokens, cost_pusd, quarantined_lines, crc32c, lines, told, ahead = said
    return RangeAccount(
        own=bytes(ranks.unpack(packed, rows=rows)),
        usage=_usage(tokens),
        cost_pusd=cost_pusd,
        costs=rowcosts.decode(ranks.notes(packed, rows=rows)),
        told=frozenset(told),
        quarantined_lines=quarantined_lines,
        lines=lines,
        crc32c=crc32c,
        ahead=ahead,
    )


def known_to(found: bytes | bytearray, own: bytes | bytearray) -> bytearray:
    """Return the better of two states row by row: what a range that goes on has to know."""
    if not any(own):
        return bytearray(found)
    best = bytearray(_union(found, own))
    for index in _both(found, own):
        best[index] = own[index] if ranks.is_better(own[index], found[index]) else found[index]
    return best


def doubly_answered(found: bytes | bytearray, own: bytes | bytearray) -> frozenset[int]:
    """Return the rows that have an answer already, and another one in a range.

    Nobody has noted what the latter cost; ``merge`` must be told.
    """
    return frozenset(index for index in _both(found, own) if _is_plain_loss(found[index], own[index]))


def merge(batch: Merged, account: RangeAccount, *, rows: int, recounted: Spent | None = None) -> Merged:
    """Return the batch's account with a range in it; ``recounted`` is what ``doubly_answered`` rows cost."""
    found = ranks.unpack(batch.found, rows=rows)
    costs = rowcosts.decode(ranks.notes(batch.found, rows=rows))
    gone = recounted or Spent()
    usage, cost_pusd = _less(batch.usage + account.usage, gone.usage), batch.cost_pusd + account.cost_pusd
    repeats = batch.repeats or account.ahead
    best, lost = bytearray(_union(found, account.own)), list[RowCost]()
    theirs = dict(account.costs)
    for index in _both(found, account.own):
        old, new = found[index], account.own[index]
        repeats = repeats or (ranks.is_own(old) and index not in account.told)
        won = ranks.is_better(new, old)
        best[index] = new if won else ranks.outlived(old, new)
        note = (costs if won else theirs).pop(index, None)
        lost += [note] if note else []
    for note in lost:
        usage, cost_pusd = note.taken_from(usage), cost_pusd - (note.cost_pusd or 0)
    return Merged(
        found=ranks.pack(best, rowcosts.encode({**costs, **theirs})),
        counts=ranks.counts(best),
        usage=usage,
        cost_pusd=cost_pusd - gone.cost_pusd,
        quarantined_lines=batch.quarantined_lines + account.quarantined_lines,
        repeats=repeats,
    )


def set_aside(
    account: RangeAccount, refused: Mapping[int, RowCost | None], *, before: bytes | bytearray
) -> RangeAccount:
    """Return the account after the store has kept rows as quarantined; with each comes what it cost.

    ``before`` is the range's ``own`` before their chunk: a better row that was there stays.
    """
    own, costs = bytearray(account.own), dict(account.costs)
    for index, cost in refused.items():
        own[index] = max(_QUARANTINED, before[index])
        if cost is not None:
            costs[index] = cost
    lines = account.quarantined_lines + len(refused)
    return replace(account, own=bytes(own), costs=costs, quarantined_lines=lines)


def _usage(tokens: list[int]) -> Usage:
    names = [one.name for one in fields(Usage)]
    return Usage(**dict(zip(names, tokens, strict=False)))  # older notes hold fewer


def _less(usage: Usage, gone: Usage) -> Usage:
    return _usage([mine - theirs for mine, theirs in zip(astuple(usage), astuple(gone), strict=True)])


def _is_plain_loss(old: int, new: int) -> bool:
    return new == _SUCCEEDED and not ranks.is_better(new, old)


def _union(one: bytes | bytearray, other: bytes | bytearray) -> bytes:
    size = len(one)
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return both.to_bytes(size, "little")


def _both(one: bytes | bytearray, other: bytes | bytearray) -> Iterator[int]:
    """Yield the rows that are found in both; as numbers of many bytes, a million are compared in no time."""
    masks = (int.from_bytes(state.translate(_MASK), "little") for state in (one, other))
    shared = next(masks) & next(masks)
    if not shared:
        return
    marks = shared.to_bytes(len(one), "little")
    at = marks.find(b"\xff")
    while at >= 0:
        yield at
        at = marks.find(b"\xff", at + 1)
