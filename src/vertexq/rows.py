"""Output lines into rows: read, match to the row that was sent, judge, price. No I/O.

This is the hot path: it sees every byte a job writes. What a line means is the family's business
(``Read``); whose answer it is, whether it is better than what is there and what it cost is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from vertexq.keys import parse_wire_key
from vertexq.lines import HEAD_BYTES, Block, Oversized
from vertexq.modalities import MARK, audio_tokens
from vertexq.model import PUSD_PER_USD, Usage
from vertexq.prices import Price
from vertexq.ranks import RANK_BYTE, byte_of, is_own, outlived
from vertexq.results import Outcome, QuarantinedLine, Row
from vertexq.rowcosts import RowCost, of_row

_SUCCEEDED = Outcome.SUCCEEDED
_BLANK = (b"", b"\r")
_UNPRICED = Price(1, 1, 1)  # not money: a sum of counts that can be judged like one
_MOST_TOKENS = 2**32
"""Token counts are int32 (discovery document, revision 20261106): a longer or negative one is no count."""
MOST_PUSD = 40 * PUSD_PER_USD
"""A row's cost above this is not believed: 200,000 such rows still add up to less than 64 bits."""
_new_row = cast("Callable[[type[Row], tuple[object, ...]], Row]", vars(tuple)["__new__"])
"""Make a row of a tuple of its columns: what ``Row._make`` does, without the detour."""


class Answer(NamedTuple):
    """What a family read in one output line. Token counts are None where Google sent none.

    ``wire_key`` is whatever came back under the key's name; ``response``, ``parsed``, ``function_calls`` and
    ``embedding`` are JSON text.
    """

    wire_key: Any
    outcome: Outcome
    text: str | None = None
    finish_reason: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    thoughts_tokens: int | None = None
    cached_tokens: int | None = None
    total_tokens: int | None = None
    model_version: str | None = None
    processed_at: str | None = None
    response: bytes | None = None
    reason: str | None = None
    parsed: bytes | None = None
    function_calls: bytes | None = None
    embedding: bytes | None = None
    embedding_norm: float | None = None


AnswerColumns = tuple[
    Any, Outcome, str | None, str | None, int | None, str | None,
    int | None, int | None, int | None, int | None, int | None, str | None, str | None, bytes | None,
    str | None, bytes | None, bytes | None, bytes | None, float | None,
]  # fmt: skip
"""The same as a plain tuple, which is all that the hot path makes."""

Read = Callable[[bytes], AnswerColumns]
"""A family's reading of one line. Raise ``Unreadable`` to quarantine it."""

Match = Callable[[bytes], tuple[int, str] | None]
"""Whose answer is this line? (index, producer's key), or None when it matches no row that was sent."""


def _unknown(_wire: object, _rows: int) -> None:
    """Read nothing in a key: one of the producer's own may look like ours by chance."""


class Unreadable(Exception):
    """A line is no answer; the text says why, without quoting it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContext:
    """What is the same for all lines of one object. ``rows`` is the number of rows that were sent.

    ``template`` is the submission's request with ``{{field}}``, as JSON: what it says of the answer's form
    holds where Google's echo of a request is silent. ``validate`` ends answers of another form as failed.
    ``parameters`` are the submission's, of its model. ``beside`` takes out of a line, as a JSON object, what
    stood beside the request in the source.
    """

    submission_id: str
    batch_id: str
    attempt: int
    rows: int
    source_object: str
    source_generation: int
    own_keys: bool = False  # of the producer, as they were: only the match knows whose they are
    price: Price | None = None
    template: str = ""
    validate: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    beside: Callable[[bytes], bytes | None] | None = None
    carried: bytes = b""  # a bit a row (see vertexq.carried): its answer came with the input


@dataclass(slots=True)
class Reading:
    """What some lines gave: rows, quarantined lines, and the keys whose earlier row may be replaced.

    ``indexes`` holds the index of each row in its batch, in the order of ``rows``; ``outdone`` those of rows
    whose answer here is worse than the one that an earlier batch has found.
    """

    rows: list[Row] = field(default_factory=list[Row])
    indexes: list[int] = field(default_factory=list[int])
    outdone: list[int] = field(default_factory=list[int])
    quarantined: list[QuarantinedLine] = field(default_factory=list[QuarantinedLine])
    replacing: set[str] = field(default_factory=set[str])


class RowReader:
    """Reads the blocks of one source range and keeps account of what has been found.

    ``ranks`` is the state of the batch (see ``vertexq.ranks``) and is changed in place. A line whose row is
    there already with an outcome at least as good is counted in ``repeated`` and left out. ``costs`` are
    those of rows that a better answer may replace; what such a row has cost is then taken back.
    """

    def __init__(
        self,
        context: ReadContext,
        read: Read,
        ranks: bytearray,
        match: Match | None = None,
        costs: dict[int, RowCost] | None = None,
    ) -> None:
        self.context = context
        self.ranks = ranks
        self.usage = Usage()
        self.cost_pusd = 0
        self.costs = {} if costs is None else costs
        self.repeated = 0
        self._read = read
        self._match = match
        self._parse_key = _unknown if context.own_keys else parse_wire_key

    def read(self, item: Block | Oversized, into: Reading) -> None:
        """Add what a block of lines gives to ``into``, in the order of the lines."""
        if isinstance(item, Oversized):
            reason = f"the line has {item.size_bytes} bytes, more than the limit"
            into.quarantined.append(self._quarantined(item.offset, item.size_bytes, reason, item.head))
        else:
            self._read_block(item, into)

    def _read_block(self, block: Block, into: Reading) -> None:  # noqa: C901, PLR0912, PLR0915  (hot)
        """Read every line; locals instead of attributes, because a million lines pass here."""
        c, ranks, read, parse = self.context, self.ranks, self._read, self._parse_key
        add, add_index = into.rows.append, into.indexes.append
        submission_id, batch_id, sent, name = c.submission_id, c.batch_id, c.rows, c.source_object
        generation, attempt = c.source_generation, c.attempt
        succeeded, best, new_row, row_type = _SUCCEEDED, RANK_BYTE[_SUCCEEDED], _new_row, Row
        price = c.price or _UNPRICED
        most_pusd, most_tokens = MOST_PUSD, _MOST_TOKENS
        input_pusd, output_pusd, rebate_pusd = price.input_pusd, price.output_pusd, price.rebate_pusd
        long_from, heard = price.long_from_tokens, price.audio_extra_pusd != 0
        priced, pusd_per_usd, beside = c.price is not None, float(PUSD_PER_USD), c.beside
        carried = c.carried
        prompt_sum = output_sum = thoughts_sum = cached_sum = total_sum = cost_sum = unpriced_sum = 0
        offset = block.offset
        for line in block.lines:
            start = offset
            offset += len(line) + 1
            try:
                (
                    wire, outcome, text, finish, code, message,
                    prompt, output, thoughts, cached, total, version, at, body, why, value, calls,
                    vector, norm,
                ) = read(line)  # fmt: skip
                index, key = parse(wire, sent) or self._owner(line)
            except Unreadable as error:
                if line not in _BLANK:
                    into.quarantined.append(
                        self._quarantined(start, len(line), str(error), line[:HEAD_BYTES])
                    )
                continue
            if carried and carried[index >> 3] >> (index & 7) & 1:
                prompt = output = thoughts = cached = total = 0  # an earlier job's, and paid for there
            rank = best if outcome is succeeded else byte_of(outcome, code)
            known = ranks[index]
            if known:
                if known >> 1 >= rank >> 1:
                    self.repeated += 1
                    if not is_own(known):
                        ranks[index] = outlived(known, rank)
                        into.outdone.append(index)
                    continue
                into.replacing.add(key)
                self._take_back(index)
            ranks[index] = rank
            cost = None
            if prompt is not None:
                said, whole = output or 0, total or 0
                pusd = prompt * input_pusd + said * output_pusd
                if thoughts or cached:
                    pusd += (thoughts or 0) * output_pusd - (cached or 0) * rebate_pusd
                if prompt > long_from or (heard and body and MARK in body):
                    pusd += _extra_pusd(price, prompt, said + (thoughts or 0), cached or 0, body)
                if (thoughts or cached) and not ((thoughts or 0) >= 0 <= (cached or 0) <= most_tokens):
                    pusd = -1  # such counts are none
                if not 0 <= pusd <= most_pusd or not 0 <= whole <= most_tokens or prompt < 0 or said < 0:
                    unpriced_sum += 1
                else:
                    prompt_sum += prompt
                    output_sum += said
                    total_sum += whole
                    if thoughts or cached:
                        thoughts_sum += thoughts or 0
                        cached_sum += cached or 0
                    if priced:
                        cost_sum += pusd
                        cost = pusd / pusd_per_usd
                    if rank != best:
                        paid = pusd if priced else None
                        self.costs[index] = RowCost(prompt, said, thoughts or 0, cached or 0, whole, paid)
            columns = (
                submission_id, key, batch_id, outcome, text, finish, code, message, prompt, output, thoughts,
                cached, total, cost, version, at, body, name, generation, start, attempt, why, value, calls,
                vector, norm, beside(line) if beside else None,
            )  # fmt: skip
            add(new_row(row_type, columns))
            add_index(index)
        self.cost_pusd += cost_sum
        self.usage += Usage(
            prompt_tokens=prompt_sum,
            output_tokens=output_sum,
            thoughts_tokens=thoughts_sum,
            cached_tokens=cached_sum,
            total_tokens=total_sum,
            unpriced_tokens=unpriced_sum + (0 if priced else total_sum),
        )

    def set_aside(self, index: int, row: Row) -> None:
        """Count a row that the store could not hold as quarantined; its cost stays until a better one."""
        self.ranks[index] = RANK_BYTE[Outcome.QUARANTINED]
        cost = of_row(row, priced=self.context.price is not None)
        if cost is not None:
            self.costs[index] = cost

    def _take_back(self, index: int) -> None:
        """Forget what the row that is about to be replaced has cost."""
        cost = self.costs.pop(index, None)
        if cost is not None:
            self.usage = cost.taken_from(self.usage)
            self.cost_pusd -= cost.cost_pusd or 0

    def _owner(self, line: bytes) -> tuple[int, str]:
        owner = self._match(line) if self._match else None
        if owner is None:
            raise Unreadable("the line matches no row that was sent")
        return owner

    def _quarantined(self, offset: int, size_bytes: int, reason: str, raw: bytes) -> QuarantinedLine:
        c = self.context
        return QuarantinedLine(
            c.submission_id, c.batch_id, c.source_object, c.source_generation, offset, size_bytes, reason, raw
        )


def _extra_pusd(price: Price, prompt: int, answered: int, reused: int, response: bytes | None) -> int:
    """Return what a row costs beside the ordinary price, for a long prompt or for audio in it."""
    extra_pusd = price.audio_extra_pusd * min(audio_tokens(response or b""), prompt)
    if price.long is None or prompt <= price.long_from_tokens:
        return extra_pusd
    long = price.long
    more = (long.input_pusd - price.input_pusd, long.output_pusd - price.output_pusd)
    more_rebate_pusd = long.rebate_pusd - price.rebate_pusd
    return extra_pusd + prompt * more[0] + answered * more[1] - reused * more_rebate_pusd
