"""What a producer may pass as a Gemini row, and which models are Gemini's."""

from __future__ import annotations

from typing import Any

import pytest

from vertexq.errors import UnknownModel
from vertexq.families import family_of
from vertexq.families.base import NoRequest
from vertexq.families.gemini import request

HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
CONFIG = {"generationConfig": {"temperature": 0}}


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        ("Hello", HELLO),
        ({"prompt": "Hello"}, HELLO),
        ({"key": "a", "prompt": "Hello", "other": 1}, HELLO),
        ({"request": {**HELLO, **CONFIG}}, {**HELLO, **CONFIG}),
        ({"key": "a", "request": {**HELLO, "notOfGoogle": 1}}, {**HELLO, "notOfGoogle": 1}),
        ({"key": "a", **HELLO, **CONFIG}, {**HELLO, **CONFIG}),
        (
            {**HELLO, "system_instruction": {"parts": []}, "mine": 7},
            {**HELLO, "system_instruction": {"parts": []}},
        ),
    ],
)
def test_a_row_is_a_prompt_a_request_or_holds_one(row: str | dict[str, Any], sent: dict[str, Any]) -> None:
    """Fields beside a request are the producer's; inside ``request`` every field is sent as it is."""
    assert request(row) == sent


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "none of them"),
        ({"key": "a"}, "none of them"),
        ({"prompt": "Hello", **HELLO}, "'contents' and 'prompt'"),
        ({"prompt": "Hello", "request": HELLO}, "'request' and 'prompt'"),
        ({"prompt": 7}, "a text that is not empty"),
        ({"prompt": None}, "a text that is not empty"),
        ({"prompt": " "}, "a text that is not empty"),
        ("", "a text that is not empty"),
        ({"request": "Hello"}, '"contents" must be a list'),
        ({"request": {}}, '"contents" must be a list'),
        ({"request": None}, '"contents" must be a list'),
        ({"request": {"contents": "Hello"}}, '"contents" must be a list'),
        ({"contents": []}, "with at least one object"),
        ({"contents": ["Hello"]}, 'must be an object with "role"'),
    ],
)
def test_a_row_without_a_request_says_what_was_expected(row: str | dict[str, Any], says: str) -> None:
    """The text quotes nothing of the row."""
    with pytest.raises(NoRequest, match=says):
        request(row)


@pytest.mark.parametrize(
    "model",
    [
        "gemini-2.5-flash",
        "gemini-2.0-flash-001",
        "publishers/google/models/gemini-2.5-pro",
        "projects/p/locations/global/publishers/google/models/gemini-3-flash-preview",
    ],
)
def test_gemini_models_are_taken_by_name_and_by_path(model: str) -> None:
    """Short names and publisher paths are the same model."""
    assert family_of(model).name == "gemini"


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-4o",
        "gemini",
        "Gemini-2.5-flash",
        "publishers/anthropic/models/gemini-x",
        "models/gemini-2.5-flash",
    ],
)
def test_a_model_of_no_family_is_unknown(model: str) -> None:
    """The message shows how a known one is written."""
    with pytest.raises(UnknownModel, match="for example gemini-"):
        family_of(model)
