"""Whatever stands in an output line of images, Claude or open models: it is read, or it is unreadable."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq.families import family_named
from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

names = st.sampled_from(
    [
        *("custom_id", "status", "response", "error", "instance", "prediction", "processed_time", "body"),
        *(
            "content",
            "type",
            "text",
            "stop_reason",
            "usage",
            "input_tokens",
            "output_tokens",
            "name",
            "input",
        ),
        *(
            "choices",
            "message",
            "finish_reason",
            "refusal",
            "tool_calls",
            "function",
            "arguments",
            "status_code",
        ),
        *("ids", "displayNames", "confidences", "code", "key"),
    ]
)
long = st.sampled_from(["x" * 100, "RESOURCE_EXHAUSTED", "overloaded_error", "a b", "\0"])
scalars = st.one_of(
    long,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False),
    st.text(max_size=5),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=5)),
    max_leaves=12,
)
GOOD: dict[str, dict[str, Any]] = {
    "automl-image": {
        "instance": {"content": "gs://b/a.jpg", "mimeType": "image/jpeg"},
        "prediction": {"ids": [1], "displayNames": ["cat"], "confidences": [0.5]},
        "error": None,
    },
    "claude": {
        "custom_id": "r0-a",
        "status": "",
        "response": {
            "type": "message",
            "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "name": "f", "input": {}}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        },
    },
    "open-model": {
        "custom_id": "r0-a",
        "error": None,
        "response": {
            "choices": [{"message": {"content": "Hi", "tool_calls": None}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        },
    },
}


def changed(value: Any, at: int, new: Any) -> Any:
    """Return a value with its ``at``-th part, counted from the outside, replaced."""
    left = [at]

    def walk(part: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            left[0] = 10**6
            return new
        if isinstance(part, dict):
            return {name: walk(each) for name, each in part.items()}  # pyright: ignore[reportUnknownVariableType]
        return [walk(each) for each in part] if isinstance(part, list) else part  # pyright: ignore[reportUnknownVariableType]

    return walk(value)


def read(family: str, line: bytes) -> Answer | None:
    """Read a line; None when it is unreadable."""
    try:
        return Answer._make(family_named(family).reading(None)(line))  # type: ignore[arg-type]
    except Unreadable:
        return None


@pytest.mark.parametrize("family", list(GOOD))
@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 20), new=values)
def test_a_line_with_anything_in_it_is_read_or_quarantined(family: str, at: int, new: Any) -> None:
    """Never an error of ours; what is read has columns of the right kinds."""
    found = read(family, orjson.dumps(changed(GOOD[family], at, new), option=orjson.OPT_PASSTHROUGH_DATETIME))

    if found is not None:
        assert isinstance(found.outcome, Outcome)
        assert found.text is None or isinstance(found.text, str)
        for counted in (found.prompt_tokens, found.output_tokens, found.total_tokens, found.error_code):
            assert counted is None or isinstance(counted, int)
        for body in (found.response, found.parsed, found.function_calls):
            assert body is None or orjson.loads(body) is not None
        assert found.reason is None or found.finish_reason == found.reason or len(found.reason) < 64


@pytest.mark.parametrize("family", list(GOOD))
@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 400), junk=st.binary(max_size=20))
def test_a_broken_line_is_quarantined(family: str, cut: int, junk: bytes) -> None:
    """Cut anywhere, or with bytes that are no JSON."""
    line = orjson.dumps(GOOD[family])

    assert read(family, line[: min(cut, len(line) - 1)]) is None
    assert read(family, b"{" + junk) is None or orjson.loads(b"{" + junk) is not None
