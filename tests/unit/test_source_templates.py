"""Templates: what may be written, what comes out, and what an error says."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertexq.errors import BadInput
from vertexq.families.base import NoRequest
from vertexq.sources.template import TEMPLATE_LIMIT_BYTES, Template

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_request_is_filled_and_the_other_fields_stay_beside_it() -> None:
    """The key is one of them; a field that would be taken for a form of row is not."""
    template = Template.parse(
        '{"contents": [{"role": "user", "parts": [{"text": "Name {{ sku }}: {{text}}"}]}]}'
    )

    row = template({"key": "k", "sku": 7, "text": "a", "prompt": "not this"})

    parts = [{"text": "Name 7: a"}]
    assert row == {
        "key": "k", "sku": 7, "text": "a", "request": {"contents": [{"role": "user", "parts": parts}]},
    }  # fmt: skip
    assert template.fields == ("sku", "text")


def test_a_template_may_be_a_row() -> None:
    """The short form of a row is the short form of a template."""
    assert Template.parse({"prompt": "Hi {{name}}"})({"name": "Ann", "key": 1}) == {
        "name": "Ann", "key": 1, "prompt": "Hi Ann",
    }  # fmt: skip


@given(JSON)
def test_a_whole_placeholder_keeps_the_type(value: object) -> None:
    """A text that is one placeholder becomes the value itself."""
    row = Template.parse({"request": {"x": ["{{v}}"]}})({"v": value})

    assert row["request"] == {"x": [value]}


@given(st.text())
def test_a_value_is_never_filled_again(value: str) -> None:
    """Braces in a record are text."""
    assert Template.parse({"prompt": "<{{v}}>"})({"v": value})["prompt"] == f"<{value}>"


def test_four_braces_are_two() -> None:
    """The two braces themselves can be written."""
    assert Template.parse({"prompt": "{{{{a}} {{a}}"})({"a": "x"})["prompt"] == "{{a}} x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "a template is a JSON object"),
        ('{"prompt": "Hello"}', "no placeholder"),
        ('{"a": [{"b": "{{}}"}]}', r"the template\.a\[0\]\.b has a {{ that begins no placeholder"),
        (orjson.dumps({"prompt": "{{a}}" + "x" * TEMPLATE_LIMIT_BYTES}), "bytes; at most"),
    ],
)
def test_what_is_no_template_is_refused(text: str | bytes, says: str) -> None:
    """The sentence says where it is."""
    with pytest.raises(BadInput, match=says):
        Template.parse(text)


@pytest.mark.parametrize(
    ("record", "says"),
    [({"b": "secret"}, "needs the field 'a', and this record has none"), ({"a": None}, "'a' is null")],
)
def test_an_error_names_the_field_and_never_a_value(record: dict[str, object], says: str) -> None:
    """What a record holds may be private."""
    with pytest.raises(NoRequest, match=says) as caught:
        Template.parse({"prompt": "Tell {{a}}"})(record)

    assert "secret" not in str(caught.value)


def test_rows_share_nothing() -> None:
    """A row may be mended without the next one changing."""
    template = Template.parse({"request": {"tools": [{"x": {}}], "text": "{{a}}"}})
    first, second = template({"a": 1}), template({"a": 2})

    first["request"]["tools"][0]["x"]["y"] = 1

    assert second["request"] == {"tools": [{"x": {}}], "text": 2}
