"""Row keys: what goes over the wire comes back, and a request is known by its echo."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq.keys import fingerprint, parse_wire_key, wire_key

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(index=st.integers(0, 199_999), key=st.text(min_size=1, max_size=20))
def test_a_wire_key_is_read_back(index: int, key: str) -> None:
    """Also when the producer's key has dashes, digits or letters of any alphabet."""
    assert parse_wire_key(wire_key(index, key), 200_000) == (index, key)


def test_a_wire_key_begins_with_a_letter() -> None:
    """Google's importer may turn what looks like a number into one."""
    assert wire_key(7, "000001") == "r7-000001"


@pytest.mark.parametrize(
    "echoed",
    [
        None,
        7,
        7.0,
        True,
        ["r1-a"],
        {"r1-a": 1},
        "",
        "r",
        "r-a",
        "r1",
        "r1-",
        "1-a",
        "R1-a",
        "rx-a",
        "r-1-a",
        "r 1-a",
        "r+1-a",
        "r1_0-a",
        "r²-a",
        "r٣-a",
        "r10-a",
        "r99999999999999999999999-a",
        "city-1",
    ],
)
def test_what_is_no_wire_key_of_this_batch_names_no_row(echoed: object) -> None:
    """Another type, another form, or an index that was never sent: the row must be matched in another way."""
    assert parse_wire_key(echoed, 10) is None


def test_a_wire_key_with_an_endless_number_is_refused_without_reading_it() -> None:
    """Python refuses to read integers of more than 4,300 digits; a hostile echo must not stop an ingest."""
    assert parse_wire_key("r" + "9" * 10_000 + "-a", 10) is None


def with_nulls(value: Any) -> Any:
    """Return a request as Google echoes it: keys in another order, extra nulls."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        turned = {name: with_nulls(item) for name, item in reversed(fields.items())}
        return {"first extra": None, **turned, "last extra": None}
    if isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]
        return [with_nulls(item) for item in items]
    return value


@given(request=JSON)
def test_a_request_and_its_echo_have_the_same_fingerprint(request: Any) -> None:
    """Order of keys and added nulls do not count."""
    assert fingerprint(with_nulls(request)) == fingerprint(request)


@pytest.mark.parametrize(
    "other",
    [
        {"contents": [{"parts": [{"text": "hello "}]}]},
        {"contents": [{"parts": [{"text": "hello"}, {"text": ""}]}]},
        {"contents": [{"parts": [{"text": "hello"}]}], "labels": {}},
    ],
)
def test_different_requests_have_different_fingerprints(other: object) -> None:
    """A blank, an empty part and an empty object are content."""
    assert fingerprint(other) != fingerprint({"contents": [{"parts": [{"text": "hello"}]}]})


def test_the_word_null_in_a_text_is_content() -> None:
    """Only JSON nulls are dropped."""
    assert fingerprint({"text": "null"}) != fingerprint({"text": ""})
    assert fingerprint({"text": "null", "file": None}) == fingerprint({"text": "null"})


def test_a_fingerprint_has_eight_bytes_and_stays_the_same() -> None:
    """It is kept in spools and manifests: a new version of vertexq must find the old ones."""
    assert fingerprint({"contents": [{"parts": [{"text": "hello"}]}]}).hex() == "b3b9b7ad9a328e11"
