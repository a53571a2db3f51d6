"""The intake: every row a producer passes is taken or its fault is named, with its line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadSource
from vertexq.families.gemini import FAMILY
from vertexq.intake import SHOWN_FAULTS, Intake
from vertexq.keys import fingerprint
from vertexq.lines import Block, Oversized


def intake(*, key_field: str = "key") -> Intake:
    """Return an intake of Gemini rows from a source called ``rows``."""
    return Intake(FAMILY, name="rows", key_field=key_field)


def fault(taken: Intake) -> str:
    """Return what closing the intake complains of."""
    with pytest.raises(BadSource) as caught:
        taken.close()
    return str(caught.value)


def lines(*texts: bytes) -> Block:
    """Return lines of a source."""
    return Block(0, list(texts))


def test_a_line_becomes_a_row_with_its_key_its_request_and_its_fingerprint() -> None:
    """The request is what is sent; the line number is that of the source."""
    taken = intake()

    (row,) = taken.block(lines(b"", b'{"key":"a","prompt":"Hello"}', b"\r"))

    sent = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert (row.key, row.line, orjson.loads(row.request)) == ("a", 2, sent)
    assert row.fingerprint == fingerprint(sent)
    taken.close()


def test_rows_without_a_key_are_called_by_their_number() -> None:
    """From 0; blank lines do not count."""
    taken = intake()

    rows = taken.block(lines(b'{"prompt":"a"}', b"", b'{"prompt":"b","key":null}'))

    assert [row.key for row in rows] == ["0", "1"]


@pytest.mark.parametrize(
    ("value", "key"),
    [("a", "a"), (7, "7"), (-7, "-7"), ("ä 日本", "ä 日本"), ("x" * 512, "x" * 512), ("é" * 256, "é" * 256)],
)
def test_a_key_is_a_text_or_an_integer(value: object, key: str) -> None:
    """Up to 512 bytes of anything that can be printed."""
    row = intake(key_field="id").row({"id": value, "prompt": "Hello"})

    assert row is not None
    assert row.key == key


@pytest.mark.parametrize(
    "value", ["", "x" * 513, "é" * 257, "a\nb", "a\tb", "\x00", "\u202e", 1.5, True, ["a"], {}]
)
def test_another_key_is_a_fault(value: object) -> None:
    """Too long, empty, not printable or of another type."""
    taken = intake()

    assert taken.row({"key": value, "prompt": "Hello"}) is None
    assert "line 1: the key in 'key' must " in fault(taken)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "a row is a text or a mapping, this is int"),
        (b"Hello", "a row is a text or a mapping, this is bytes"),
        (None, "a row is a text or a mapping, this is NoneType"),
        ({}, 'one of "request"'),
        ({"request": {"contents": [{"parts": {1, 2}}]}}, "not JSON serializable"),
        ({"request": {"contents": [{"role": "user"}], "x": 2**70}}, "exceeds 64-bit range"),
        ("half a pair \ud800", "surrogates"),
    ],
)
def test_a_value_that_cannot_be_sent_is_a_fault(value: Any, said: str) -> None:
    """Nothing that a producer passes is an exception half way."""
    taken = intake()

    assert taken.row(value) is None
    assert said in fault(taken)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"not json", "line 1: not valid JSON: "),
        (b'{"prompt":"a"', "line 1: not valid JSON: "),
        (b'{"prompt":NaN}', "line 1: a number is not finite"),
        (b'{"prompt":"\xff"}', "line 1: the line is not UTF-8"),
        (b'\xef\xbb\xbf{"prompt":"a"}', "line 1: a byte order mark before the first object"),
        (b'"text"', "line 1: a line must be a JSON object"),
        (b"7", "line 1: a line must be a JSON object"),
        (b'[{"prompt":"a"}]', "line 1: this is a JSON array, not JSON Lines"),
        (b"  [", "line 1: this is a JSON array, not JSON Lines"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_fault(line: bytes, said: str) -> None:
    """The message says what it is and, for an array, how to mend it."""
    taken = intake()

    assert taken.block(lines(line)) == []
    assert said in fault(taken)


def test_a_fault_never_quotes_the_row() -> None:
    """Prompts do not belong in messages."""
    taken = intake()
    for secret in (
        b'{"prompt": SECRET}',
        b'{"SECRET":1}',
        b'["SECRET"]',
        b'{"key":"SECRET\\n","prompt":"SECRET"}',
    ):
        taken.block(lines(secret))

    assert "SECRET" not in fault(taken)


def test_a_line_over_the_limit_is_a_fault_with_its_number() -> None:
    """Its bytes were never held."""
    taken = intake()

    taken.block(lines(b'{"prompt":"a"}'))
    assert taken.block(Oversized(15, 99_999_999, b"xxx")) == []

    assert "line 2: the line has 99,999,999 bytes, more than the limit" in fault(taken)


def test_many_faults_are_counted_and_the_first_are_listed() -> None:
    """A million bad lines must not make a message of a million lines."""
    taken = intake()
    taken.block(lines(*[b"x"] * 1_000, b'{"prompt":"good"}'))

    said = fault(taken).splitlines()

    assert said[0] == "rows: 1,000 of 1,001 rows cannot be enqueued; nothing was sent."
    assert len(said) == SHOWN_FAULTS + 2
    assert said[-1] == "  and 990 more"


def test_a_key_that_occurs_twice_is_a_fault_of_the_later_line() -> None:
    """Two rows with one key would land on top of one another."""
    taken = intake()
    taken.row({"key": "a", "prompt": "Hello"})

    taken.duplicate(5, 1)

    assert "line 5: the same key as line 1; every row needs its own" in fault(taken)


@pytest.mark.parametrize("block", [lines(), lines(b"", b"\r")])
def test_a_source_without_rows_is_a_fault(block: Block) -> None:
    """An empty file is a mistake, not an empty success."""
    taken = intake()
    taken.block(block)

    assert fault(taken) == "rows holds no rows; nothing was sent. Pass at least one request."
