"""Text for terminals: nothing in it is obeyed, and numbers read well."""

from __future__ import annotations

import pytest

from vertexq import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 日本語, 👩‍👩‍👧", "plain, ünïcode, 日本語, 👩‍👩‍👧"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("two\nlines\tand\r", r"two\nlines\tand\r"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("half a pair \ud800", r"half a pair \ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    """Text stays as it is; control characters, separators, reordering marks and lone surrogates do not."""
    assert plain.one_line(text) == shown


def test_newlines_are_kept_where_lines_are_wanted() -> None:
    """A report of several lines stays one; a carriage return would still hide its beginning."""
    assert plain.lines("a\nb\rc") == "a\nb\\rc"


def test_long_text_is_cut_with_a_mark() -> None:
    """The mark is one of the characters that are allowed."""
    assert plain.shortened("abcdef", limit=4) == "abc…"
    assert plain.shortened("abcd", limit=4) == "abcd"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (180, "3 min"),
        (7_199, "120 min"),
        (7_800, "2 h 10 min"),
        (86_400 * 3 + 3_600 * 4, "3 d 4 h"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    """Two units at most, and none that is too fine to matter."""
    assert plain.duration(seconds) == said


@pytest.mark.parametrize(
    ("usd", "said"), [(0.0, "0.00 USD"), (0.0000275, "0.000028 USD"), (1234.5, "1,234.50 USD")]
)
def test_small_amounts_keep_their_digits(usd: float, said: str) -> None:
    """A demo costs millionths of a dollar and should not be shown as nothing."""
    assert plain.money(usd) == said
