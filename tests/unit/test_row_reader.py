"""The row reader: whose answer a line is, whether it is better than what is there, and what it cost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from vertexq import ranks
from vertexq.families.gemini_reading import reading
from vertexq.lines import Block, Oversized
from vertexq.model import Usage
from vertexq.prices import Price
from vertexq.results import Row
from vertexq.rows import Match, ReadContext, Reading, RowReader

read = reading()
PRICE = Price(150_000, 1_250_000, 30_000)
CONTEXT = ReadContext(
    submission_id="s-1",
    batch_id="b-1",
    attempt=1,
    rows=5,
    source_object="gs://bucket/out/predictions.jsonl",
    source_generation=7,
    price=PRICE,
)
ERROR = 'X: {"error": {"code": 429, "message": "Slow down."}}'


def good(key: object, *, text: str = "Hi.", **usage: int) -> bytes:
    """Return the output line of an answered row."""
    response = {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
    return orjson.dumps({"key": key, "status": "", "response": {**response, "usageMetadata": usage}})


def bad(key: object) -> bytes:
    """Return the output line of a failed row."""
    return orjson.dumps({"key": key, "status": ERROR, "response": {}})


def reader(state: bytearray | None = None, *, match: Match | None = None) -> RowReader:
    """Return a reader for a batch of five rows."""
    return RowReader(CONTEXT, read, state if state is not None else ranks.empty(5), match)


def take(reader: RowReader, *lines: bytes, offset: int = 0) -> Reading:
    """Return what some lines give."""
    into = Reading()
    reader.read(Block(offset, list(lines)), into)
    return into


def outcomes(reading: Reading) -> list[tuple[str, str]]:
    """Return key and outcome of every row."""
    return [(row.key, row.outcome) for row in reading.rows]


def test_a_row_carries_where_it_came_from_what_it_says_and_what_it_cost() -> None:
    """Every column that does not come from the answer comes from the context and the line's offset."""
    line = good("r2-city", promptTokenCount=100, candidatesTokenCount=10)

    (row,) = take(reader(), line, offset=4_096).rows

    assert row == Row(
        "s-1", "city", "b-1", "succeeded", "Hi.", "STOP", None, None, 100, 10, None, None, 110, 0.0000275,
        None, None, orjson.dumps(orjson.loads(line)["response"]), CONTEXT.source_object, 7, 4_096, 1,
    )  # fmt: skip


def test_rows_are_told_with_their_index_in_the_batch() -> None:
    """In the order of the lines, which is never that of the input."""
    found = take(reader(), good("r3-d"), good("r0-a"), b"not json", good("r2-c"))

    assert found.indexes == [3, 0, 2]
    assert [row.key for row in found.rows] == ["d", "a", "c"]


def test_blank_lines_count_towards_offsets_and_nothing_else() -> None:
    r"""Empty lines and a lone \r are passed over; the next line's offset is exact."""
    found = take(reader(), b"", b"\r", good("r0-a"), offset=100)

    assert [row.source_offset for row in found.rows] == [103]


def test_a_second_answer_of_a_row_is_left_out() -> None:
    """Incremental and final files repeat rows; the cost of a row is counted once."""
    line = good("r0-a", promptTokenCount=100)
    once = reader()

    found = take(once, line, line)
    again = take(once, line)

    assert (outcomes(found), outcomes(again), once.repeated) == ([("a", "succeeded")], [], 2)
    assert (once.usage.prompt_tokens, once.cost_pusd) == (100, 15_000_000)


def test_a_better_outcome_replaces_a_worse_one_and_says_so() -> None:
    """The store needs to know which keys it holds already; a worse outcome changes nothing."""
    twice = reader()

    first = take(twice, bad("r0-a"))
    second = take(twice, good("r0-a"))
    third = take(twice, bad("r0-a"))

    assert (outcomes(first), first.replacing) == ([("a", "failed")], set())
    assert (outcomes(second), second.replacing) == ([("a", "succeeded")], {"a"})
    assert (outcomes(third), twice.repeated) == ([], 1)


def test_what_was_found_before_a_crash_is_known() -> None:
    """The state comes from the store, so a reader that starts again takes nothing twice."""
    state = ranks.empty(5)
    take(reader(state), good("r0-a"), bad("r1-b"))

    found = take(reader(state), good("r0-a"), good("r1-b"), good("r2-c"))

    assert (outcomes(found), found.replacing) == ([("b", "succeeded"), ("c", "succeeded")], {"b"})
    assert ranks.counts(state).succeeded == 3


@pytest.mark.parametrize("key", [None, 1, "city", "r9-z", "r5-f", ""])
def test_a_line_that_matches_no_row_is_quarantined_at_its_offset(key: object) -> None:
    """Never guessed; the first kilobyte is kept for a person."""
    line = good(key, text="x" * 2_000)
    state = ranks.empty(5)

    found = take(reader(state), good("r0-a"), line)

    (quarantined,) = found.quarantined
    assert quarantined.source_offset == len(good("r0-a")) + 1
    assert (quarantined.size_bytes, quarantined.raw) == (len(line), line[:1024])
    assert (quarantined.reason, len(found.rows)) == ("the line matches no row that was sent", 1)
    assert (quarantined.source_object, quarantined.source_generation) == (CONTEXT.source_object, 7)


def test_a_line_that_is_unreadable_is_quarantined_and_the_rest_is_read() -> None:
    """One broken line never stops a load."""
    found = take(reader(), good("r0-a"), b'{"key":"r1-b","resp', good("r2-c"), offset=10)

    assert [row.key for row in found.rows] == ["a", "c"]
    assert [(line.source_offset, line.reason) for line in found.quarantined] == [
        (10 + len(good("r0-a")) + 1, "the line is not valid JSON")
    ]


def test_a_line_over_the_limit_is_quarantined_with_its_whole_size() -> None:
    """It was passed over by the splitter; only its head is there."""
    found = Reading()

    reader().read(Oversized(512, 99_000_000, b"head"), found)

    (line,) = found.quarantined
    assert (line.source_offset, line.size_bytes, line.raw) == (512, 99_000_000, b"head")
    assert line.reason == "the line has 99000000 bytes, more than the limit"


def test_without_an_echoed_key_the_second_way_is_asked() -> None:
    """The manifest knows whose request a line answers; what it does not know is quarantined."""
    asked: list[bytes] = []

    def match(line: bytes) -> tuple[int, str] | None:
        asked.append(line)
        return (3, "d") if b"Hi." in line else None

    found = take(reader(match=match), good(None), good(7, text="Who?"), good("r0-a"))

    assert outcomes(found) == [("d", "succeeded"), ("a", "succeeded")]
    assert (len(found.quarantined), len(asked)) == (1, 2)


def test_without_a_price_the_cost_is_left_open() -> None:
    """No number is better than a wrong one; tokens are counted all the same."""
    context = ReadContext(
        submission_id="s-1", batch_id="b-1", attempt=1, rows=5, source_object="o", source_generation=1
    )
    free = RowReader(context, read, ranks.empty(5))

    (row,) = take(free, good("r0-a", promptTokenCount=100)).rows

    assert (row.cost_usd, free.cost_pusd) == (None, 0)
    assert free.usage == Usage(prompt_tokens=100, total_tokens=100, unpriced_tokens=100)


@pytest.mark.parametrize(
    ("usage", "cost_pusd"),
    [
        ({"promptTokenCount": 1_000}, 150_000_000),
        ({"promptTokenCount": 1_000, "cachedContentTokenCount": 400}, 102_000_000),
        ({"promptTokenCount": 1_000, "candidatesTokenCount": 10, "thoughtsTokenCount": 20}, 187_500_000),
        ({"candidatesTokenCount": 10}, 0),  # without the prompt's count nothing can be said
        ({}, 0),
    ],
)
def test_a_row_costs_what_the_price_says(usage: dict[str, int], cost_pusd: int) -> None:
    """Cached tokens are cheaper, thoughts cost what output costs."""
    priced = reader()

    take(priced, good("r0-a", text="Hi.", **usage))

    assert priced.cost_pusd == cost_pusd


def test_tokens_add_up_over_blocks() -> None:
    """Every count of every row, failed ones included when Google sent counts."""
    counted = reader()
    usage: dict[str, Any] = {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}

    take(counted, good("r0-a", **usage), bad("r1-b"))
    take(counted, good("r2-c", **usage, cachedContentTokenCount=5))

    assert counted.usage == Usage(
        prompt_tokens=20, output_tokens=6, thoughts_tokens=4, cached_tokens=5, total_tokens=30
    )


def test_all_outcomes_of_a_batch_are_counted_by_the_state() -> None:
    """What was found and what is still missing can be read from the state alone."""
    state = ranks.empty(5)

    take(reader(state), good("r0-a"), bad("r1-b"), good("r4-e"))

    assert [index for index in range(5) if state[index] == ranks.NOT_FOUND] == [2, 3]
    assert state[1] == ranks.RETRYABLE


def test_a_row_that_a_better_one_replaces_costs_nothing_any_more() -> None:
    """The store keeps one row a key, and the account follows it: cost, tokens and all."""
    blocked = orjson.loads(good("r0-a", promptTokenCount=1_000))
    blocked["response"]["candidates"] = [{"finishReason": "SAFETY"}]
    replaced = reader()

    take(replaced, orjson.dumps(blocked))
    assert replaced.cost_pusd == 150_000_000
    found = take(replaced, good("r0-a", promptTokenCount=10, candidatesTokenCount=2))

    assert outcomes(found) == [("a", "succeeded")]
    assert replaced.cost_pusd == 10 * 150_000 + 2 * 1_250_000
    assert replaced.usage == Usage(prompt_tokens=10, output_tokens=2, total_tokens=12)
    assert replaced.costs == {}


@pytest.mark.parametrize(
    "usage",
    [
        {"promptTokenCount": 2**32},
        {"promptTokenCount": -1},
        {"promptTokenCount": 10**30},
        {"promptTokenCount": 10, "candidatesTokenCount": 2**40},
        {"promptTokenCount": 0, "cachedContentTokenCount": 5},
        {"promptTokenCount": 10, "totalTokenCount": 2**70},
        {"promptTokenCount": 2**31, "candidatesTokenCount": 2**31},
    ],
)
def test_counts_that_cannot_be_true_cost_an_unknown_sum(usage: dict[str, int]) -> None:
    """A broken count must neither stop the load nor become money; the sum says that it is not all."""
    careful = reader()

    (row,) = take(careful, b'{"key":"r0-a","status":"","response":' + _answered(usage) + b"}").rows

    assert row.cost_usd is None
    assert (careful.cost_pusd, careful.usage) == (0, Usage(unpriced_tokens=1))


def test_a_long_prompt_has_its_own_price() -> None:
    """All of the row costs what the tier says, from the first token above its bound."""
    tier = Price(150_000, 1_250_000, 30_000, 200_000, Price(300_000, 2_500_000, 60_000))
    long = RowReader(replace(CONTEXT, price=tier), read, ranks.empty(5))

    take(long, good("r0-a", promptTokenCount=200_000, candidatesTokenCount=1))
    assert long.cost_pusd == 200_000 * 150_000 + 1_250_000
    take(long, good("r1-b", promptTokenCount=200_001, candidatesTokenCount=1, cachedContentTokenCount=1))

    assert long.cost_pusd == 200_000 * 150_000 + 1_250_000 + 200_000 * 300_000 + 60_000 + 2_500_000


def _answered(usage: dict[str, int]) -> bytes:
    """Return a response whose counts may be of any length."""
    candidate = {"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}
    return json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode()


@pytest.mark.parametrize(
    ("details", "audio"),
    [
        ([{"modality": "AUDIO", "tokenCount": 60}, {"modality": "TEXT", "tokenCount": 40}], 60),
        ([{"modality": "TEXT", "tokenCount": 100}], 0),
        ([{"modality": "AUDIO"}, {"tokenCount": 5}], 0),
        ([{"modality": "AUDIO", "tokenCount": 900}], 100),  # no more than the prompt had
        ([], 0),
        (None, 0),
    ],
)
def test_audio_has_its_own_price(details: object, audio: int) -> None:
    """As many tokens of the prompt as Google says were audio."""
    heard = RowReader(replace(CONTEXT, price=replace(PRICE, audio_pusd=500_000)), read, ranks.empty(5))
    response = orjson.loads(_answered({"promptTokenCount": 100}))
    response["usageMetadata"]["promptTokensDetails"] = details
    response["candidates"][0]["content"]["parts"][0]["text"] = 'She said "AUDIO" twice.'

    take(heard, orjson.dumps({"key": "r0-a", "status": "", "response": response}))

    assert heard.cost_pusd == 100 * 150_000 + audio * 350_000
