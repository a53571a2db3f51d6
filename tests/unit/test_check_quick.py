"""The quick ways give what the plain way gives, for any line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.check_rows import HELLO, REQUESTS, TEXTS, compact, intake, line, taken, turn
from vertexq.keys import fingerprint
from vertexq.lines import Block

CONFIG = {"generationConfig": {"temperature": 0.5, "maxOutputTokens": 7, "candidateCount": 2}}
KEYS = st.none() | st.integers(0, 9) | st.text('ab"\\é\u202e 1', min_size=1, max_size=5)
WRITERS: list[Callable[[Any], bytes]] = [
    compact,
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, ensure_ascii=False).encode(),
    lambda value: json.dumps(value, indent=1).replace("\n", " ").encode(),
    lambda value: compact(value) + b"\r",
    lambda value: compact(value).replace(b"/", b"\\/"),
]
WRITTEN = st.sampled_from(WRITERS)


def rows_of(key: Any, request: Any, text: str) -> list[dict[str, Any]]:
    """Return rows of all forms with one key."""
    named = {} if key is None else {"key": key}
    plain = turn(parts=[{"text": text}])
    return [
        {**named, "request": request},
        {"request": request, **named},
        {**named, "request": {**plain, **CONFIG}},
        {**named, "request": {**CONFIG, **plain}},
        {**named, "request": {"contents": [{"parts": [{"text": text}], "role": "user"}]}},
        {**named, "prompt": text},
        {**named, **plain, "mine": 1},
        {**named, "request": plain, "mine": {"a": 1}},
    ]


ROWS: st.SearchStrategy[Any] = st.builds(rows_of, KEYS, REQUESTS, TEXTS).flatmap(st.sampled_from)
LINES: st.SearchStrategy[bytes] = st.tuples(WRITTEN, ROWS).map(lambda pair: pair[0](pair[1]))


@settings(max_examples=600, deadline=None)
@given(lines=st.lists(LINES, max_size=6), repair=st.booleans(), aside=st.booleans())
def test_quick_and_plain_are_the_same(lines: list[bytes], *, repair: bool, aside: bool) -> None:
    """The same rows, faults, repairs, groups and estimate; and again when all lines come a second time."""
    policy = {"repair": repair, "set_aside": aside, "split_conflicts": True}
    quick, plain = taken(lines * 2, **policy), taken(lines * 2, quick=False, **policy)

    assert quick[0] == plain[0]
    assert quick[1].verdict() == plain[1].verdict()
    assert quick[1].rows == plain[1].rows


@settings(max_examples=300, deadline=None)
@given(row=ROWS, write=WRITTEN, cuts=st.lists(st.integers(0, 400), max_size=3), junk=st.binary(max_size=3))
def test_a_damaged_line_is_the_same_quick_and_plain(
    row: Any, write: Any, cuts: list[int], junk: bytes
) -> None:
    """Bytes put anywhere into a line that looks like one before."""
    good = write(row)
    damaged = [good[:cut] + junk + good[cut:] for cut in cuts]

    quick, plain = taken([good, *damaged, good]), taken([good, *damaged, good], quick=False)

    assert quick[0] == plain[0]
    assert quick[1].verdict() == plain[1].verdict()


@given(request=REQUESTS)
def test_a_row_has_the_fingerprint_of_its_request(request: Any) -> None:
    """What is hashed field by field is what the echo's fingerprint is taken of."""
    rows, _ = taken([line(request)])

    assert all(row.fingerprint == fingerprint(orjson.loads(row.request)) for row in rows)


def test_most_lines_are_not_decoded() -> None:
    """A line that is like one before in all but key and text is known by its frame."""
    found = intake()
    texts = ["Hello", 'say "no"', "a\nb", "Grüße 😀", "C:\\user", "x" * 500]
    lines = [line({**turn(parts=[{"text": text}]), **CONFIG}, f"k{text[:1]}") for text in texts]

    rows = found.block(Block(0, lines))

    assert rows == taken(lines, quick=False)[0]
    assert found.frames is not None
    assert found.frames.fit(lines) is not None


def test_a_check_alone_makes_no_requests() -> None:
    """Rows come without fingerprint and request; everything else is the same."""
    lines = [line({**HELLO, **CONFIG}, f"k{number}") for number in range(3)]
    full, bare = intake(), intake(only_check=True)

    rows, checked = full.block(Block(0, lines)), bare.block(Block(0, lines))

    assert [row._replace(fingerprint=b"", request=b"") for row in rows] == checked
    assert full.verdict() == bare.verdict()


def test_thousands_of_frames_are_forgotten_and_nothing_is_lost() -> None:
    """Counts stay right when every row has another configuration, and memory is bounded."""
    lines = [
        line({**HELLO, "generationConfig": {"maxOutputTokens": number % 700 + 1}}, f"k{number}")
        for number in range(3_000)
    ]

    rows, found = taken(lines)

    verdict = found.verdict()
    assert (len(rows), verdict.estimate.rows, verdict.report.groups) == (3_000, 3_000, (3_000,))
    assert verdict.estimate.output_tokens == sum(row.output_tokens for row in rows)
