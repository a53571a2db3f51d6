"""The quick ways give what the plain way gives, for any line of an embedding model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.check_rows import compact
from vertexq.families import gemini_embedding, text_embedding
from vertexq.families.base import Family
from vertexq.intake import Intake, Prepared
from vertexq.keys import fingerprint
from vertexq.lines import Block
from vertexq.model import Policy

WRITERS: list[Callable[[Any], bytes]] = [
    compact,
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, ensure_ascii=False).encode(),
    lambda value: compact(value).replace(b"/", b"\\/"),
]
TEXTS = st.text('abc 1\n\t"\\/\u00e9\u2003\u4e2d\x00', max_size=6)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "task_type": st.sampled_from(["RETRIEVAL_DOCUMENT", "CLUSTERING", "SUMMARY", None, 7]),
        "title": st.sampled_from(["T", "", None]),
        "output_dimensionality": st.sampled_from([64, 0, "64", None]),
    },
)
KEYS = st.none() | st.text('ab"\\1', min_size=1, max_size=4)


def forms(key: str | None, text: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows of all forms with one text."""
    named = {} if key is None else {"key": key}
    whole = {"parts": [{"text": text}]}
    contents = (text, whole, {"role": "user", **whole}, {**whole, "role": "user"})
    return [
        *({**named, "content": content} for content in contents),
        *({**named, "request": {"content": content, **options}} for content in contents),
        *({"request": {**options, "content": content}, **named} for content in contents),
        {**named, "request": {"content": whole, "embed_content_config": options or {"title": "T"}}},
        {**named, "content": text, **options},
        {**named, "prompt": text},
        {**named, "request": {"content": whole}, "content": text},
    ]


ROWS: st.SearchStrategy[Any] = st.builds(forms, KEYS, TEXTS, OPTIONS).flatmap(st.sampled_from)
LINES: st.SearchStrategy[bytes] = st.tuples(st.sampled_from(WRITERS), ROWS).map(lambda pair: pair[0](pair[1]))


def taken(family: Family, lines: list[bytes], *, quick: bool) -> tuple[list[Prepared], Intake]:
    """Return what an intake makes of some lines."""
    policy = Policy(set_aside=True, split_conflicts=True)
    found = Intake(family, name="rows", policy=policy, quick=quick)
    return found.block(Block(0, lines)), found


@pytest.mark.parametrize("family", [text_embedding.FAMILY, gemini_embedding.FAMILY])
@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINES, max_size=6))
def test_quick_and_plain_are_the_same(family: Family, lines: list[bytes]) -> None:
    """The same rows, faults, groups and estimate; and again when all lines come a second time."""
    quick, plain = taken(family, lines * 2, quick=True), taken(family, lines * 2, quick=False)

    assert quick[0] == plain[0]
    assert quick[1].verdict() == plain[1].verdict()


@pytest.mark.parametrize("family", [text_embedding.FAMILY, gemini_embedding.FAMILY])
@given(line=LINES)
def test_a_row_has_the_fingerprint_of_its_request(family: Family, line: bytes) -> None:
    """What is hashed field by field is what the echo's fingerprint is taken of."""
    (row,) = taken(family, [line], quick=True)[0]

    assert row.reason or row.fingerprint == fingerprint(json.loads(row.request))


@pytest.mark.parametrize("family", [text_embedding.FAMILY, gemini_embedding.FAMILY])
def test_lines_with_a_key_and_a_text_are_read_the_quick_way(family: Family) -> None:
    """The most common form is known by what surrounds its text; also one that begins with no letter."""
    lines = [
        compact({"key": f"k{n}", "content": text}) for n, text in enumerate(["One", "\u4e2d", "x y"] * 9)
    ]

    rows, intake = taken(family, lines, quick=True)

    assert not any(row.reason for row in rows)
    assert intake.frames is not None
    assert len(intake.frames.frames) == 1
