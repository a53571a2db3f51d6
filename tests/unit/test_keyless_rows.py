"""Answers without a key: each row has one, however they are mixed, repeated, re-typed, and read again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq.families.text_embedding import FAMILY
from vertexq.keys import fingerprint
from vertexq.lines import Block
from vertexq.rows import Match, ReadContext, Reading, RowReader
from vertexq.steps.parts import ManifestLine
from vertexq.steps.row_index import RowIndex

GOOD = [{"embeddings": {"statistics": {"token_count": 1}, "values": [1.0, 2.0]}}]
QUOTA = 'Quota: {"error": {"code": 429, "message": "Quota."}}'
CONTEXT = ReadContext(
    submission_id="s", batch_id="b", attempt=1, rows=1_000, source_object="o", source_generation=1
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "7", "007", "x y"]),
        st.sampled_from(["succeeded", "failed", "missing"]),
    ),
    min_size=1,
    max_size=20,
)


@dataclass
class Store:
    """What a crash leaves: the rows of committed chunks, and the state that was committed with them."""

    rows: dict[str, tuple[str, str]]
    ranks: bytearray


def index_of(texts: list[str]) -> RowIndex:
    """Return the rows that were sent."""
    index = RowIndex(FAMILY.wire)
    for at, text in enumerate(texts):
        request = {"content": text}
        retyped = FAMILY.wire.retyped_digest(request) or b""
        index.add(ManifestLine(at, f"k{at}", fingerprint(request), at, 0, "", retyped))
    return index


def line_of(content: object, fate: str) -> bytes:
    """Return an output line; the import adds nulls."""
    failed = fate == "failed"
    answer: dict[str, Any] = {"predictions": [] if failed else GOOD, "status": QUOTA if failed else ""}
    return orjson.dumps({"instance": {"content": content, "title": None}, **answer})


def owner_in(index: RowIndex, ranks: bytearray) -> Match:
    """Return what tells whose answer a line is."""
    return lambda line: index.find(orjson.loads(line), ranks)


def load(lines: list[bytes], index: RowIndex, store: Store, dice: Random) -> int:
    """Read lines chunk by chunk into a store; now and then a worker dies before its commit."""
    quarantined = at = 0
    while at < len(lines):
        size = dice.randint(1, 4)
        ranks = bytearray(store.ranks)
        reader = RowReader(CONTEXT, FAMILY.reading(CONTEXT), ranks, owner_in(index, ranks))
        reading = Reading()
        reader.read(Block(0, lines[at : at + size]), reading)
        if dice.random() < 0.4:
            continue  # it died; the next one begins where the last commit was
        for row in reading.rows:
            store.rows[row.key] = (row.outcome, str(row.source_offset))
        quarantined += len(reading.quarantined)
        store.ranks, at = ranks, at + size
    return quarantined


@settings(max_examples=120, deadline=None)
@given(sent=ROWS, seed=st.integers(0, 2**32))
def test_each_row_has_the_answer_of_one_line_with_its_text(sent: list[tuple[str, str]], seed: int) -> None:
    """As many rows of a text succeed, fail and lack an answer as its lines say, whoever dies."""
    texts, dice = [text for text, _ in sent], Random(seed)
    lines = [line_of(text, fate) for text, fate in sent if fate != "missing"]
    dice.shuffle(lines)
    store = Store(rows={}, ranks=bytearray(len(texts)))

    quarantined = load(lines, index_of(texts), store, dice)

    found = Counter((texts[int(key[1:])], outcome) for key, (outcome, _) in store.rows.items())
    assert quarantined == 0
    assert found == Counter((text, fate) for text, fate in sent if fate != "missing")


@settings(max_examples=60, deadline=None)
@given(sent=ROWS, seed=st.integers(0, 2**32))
def test_lines_that_come_twice_add_no_row(sent: list[tuple[str, str]], seed: int) -> None:
    """A file read again in a later range only brings what is better."""
    texts, dice = [text for text, _ in sent], Random(seed)
    lines = [line_of(text, fate) for text, fate in sent if fate != "missing"]
    store = Store(rows={}, ranks=bytearray(len(texts)))
    index = index_of(texts)
    load(lines, index, store, dice)
    once = set(store.rows)

    load([line for line in lines if QUOTA.encode()[:5] not in line], index, store, dice)

    assert once <= store.rows.keys()
    assert len(store.rows) <= len(texts)


NUMBERS = {"7": b"7", "007": b"7", "7.0": b"7.0", "12": b"12", "0.50": b"0.5", "-3": b"-3", "+4": b"4"}
BEYOND = "99999999999999999999"  # no integer of 64 bits: its number may be another text's as well


@given(texts=st.lists(st.sampled_from([*NUMBERS, BEYOND, "1e5"]), max_size=12))
def test_a_number_belongs_to_the_one_text_that_it_can_be(texts: list[str]) -> None:
    """Two texts that became the same number are not guessed; what a number cannot hold is none."""
    index, ranks = index_of(texts), bytearray(len(texts))
    for text in set(texts) & NUMBERS.keys():
        alike = {one for one in texts if one in NUMBERS and float(one) == float(text)}

        found = index.find(orjson.loads(b'{"instance":{"content":%b}}' % NUMBERS[text]), ranks)

        assert (found is not None) == (alike == {text})
        assert found is None or texts[found[0]] == text
    assert index.find(orjson.loads(b'{"instance":{"content":%b}}' % BEYOND.encode()), ranks) is None
