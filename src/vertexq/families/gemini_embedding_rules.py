"""What Gemini's embedding models take in a request and as parameters, beyond the import's rules. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, cast

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.plain_text import MARK
from vertexq.check.rows import BYTES_PER_TOKEN
from vertexq.check.values import items, objects
from vertexq.errors import BadInput
from vertexq.families.gemini_rules import MEDIA_TOKENS
from vertexq.families.text_embedding_rules import (
    NO_TEXT,
    check_others,
    checked_parameters,
    is_text,
    option_flaws,
    title_flaws,
)

FLAT: Final = "flat"
NESTED: Final = "nested"
FORMS: Final = (NESTED, FLAT)
OPTIONS_FORM: Final = "options_form"
MOST_DIMENSIONS: Final = 3_072
"""What the models write by themselves, and the most they can be asked for (Google's page on embeddings)."""
CONFIGS: Final = ("embed_content_config", "embedContentConfig")
OPTIONS: Final = ("task_type", "title", "output_dimensionality")
_DIMENSIONS = ("output_dimensionality", "outputDimensionality")
_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
_MEND = 'write {"parts": [{"text": …}]}'
_NO_DIMENSIONS = f"the number of dimensions is a whole number from 1 to {MOST_DIMENSIONS:,}"


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of a request."""
    if name == "content":
        yield from _content(value)
    elif name in CONFIGS and isinstance(value, Mapping):
        options = cast("Mapping[str, Any]", value)
        for option, said in options.items():
            yield from _option(option, said, f"request.{name}.{option}")
        yield from title_flaws(options, f"request.{name}.title")
    else:
        yield from _option(name, value, f"request.{name}")


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of a request's fields together."""
    if "content" not in names:
        yield Flaw(Rule.REQUEST, "request.content", "there is no content to embed", _MEND)
    for alike in (CONFIGS, _DIMENSIONS, ("task_type", "taskType")):
        if set(alike) <= set(names):
            text = f"the same field as {alike[1]}, written otherwise"
            yield Flaw(Rule.REPEATED_NAME, f"request.{alike[0]}", text, "keep one of them")


def _option(name: str, value: object, path: str) -> Iterator[Flaw]:
    if name in _DIMENSIONS and value is not None and not _is_dimensions(value):
        yield Flaw(Rule.UNSUPPORTED, path, _NO_DIMENSIONS, "write such a number, or leave it out")
    yield from option_flaws(name, value, path)


def _is_dimensions(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_DIMENSIONS


def _content(value: object) -> Iterator[Flaw]:
    parts = items(cast("Mapping[str, Any]", value).get("parts")) if isinstance(value, Mapping) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        text = "parts must be an array of objects"
        yield Flaw(Rule.PARTS, "request.content.parts", text, _MEND)
    elif not any(is_text(part.get("text")) or any(name in part for name in _MEDIA) for part in parts):
        yield Flaw(Rule.REQUEST, "request.content.parts", NO_TEXT, _MEND)


def weigh(name: str, value: object) -> Weight:
    """Return what a field weighs: its texts and media, and titles."""
    if name == "content" and isinstance(value, Mapping):
        return _weight(items(cast("Mapping[str, Any]", value).get("parts")))
    if name in CONFIGS and isinstance(value, Mapping):
        return weigh("title", cast("Mapping[str, Any]", value).get("title"))
    return Weight(text_bytes=len(value.encode())) if name == "title" and isinstance(value, str) else Weight()


def _weight(parts: list[Any]) -> Weight:
    found = objects(parts)
    texts = [text for part in found if isinstance(text := part.get("text"), str)]
    media = sum(1 for part in found if any(name in part for name in _MEDIA))
    return Weight(text_bytes=sum(len(text.encode()) for text in texts), input_tokens=media * MEDIA_TOKENS)


def estimate(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return (input tokens, 0) of a request: four bytes are a token, and nothing is written."""
    weights = [weigh(name, value) for name, value in request.items()]
    text_bytes = sum(weight.text_bytes for weight in weights)
    return -(-text_bytes // BYTES_PER_TOKEN) + sum(weight.input_tokens for weight in weights), 0


def parameters(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what may be set for all rows; raise ``BadInput`` for anything else."""
    form, dimensions = given.get(OPTIONS_FORM, NESTED), given.get("dimensions")
    if form not in FORMS:
        raise BadInput(f"{OPTIONS_FORM}: write one of {', '.join(FORMS)}")
    if dimensions is not None and not _is_dimensions(dimensions):
        raise BadInput(f"dimensions: {_NO_DIMENSIONS}")
    return checked_parameters(given, ("dimensions", "task_type", "title", OPTIONS_FORM))


RULES = FieldRules(
    varying="content",
    plain=(
        {"parts": [{"text": MARK}]},
        {"role": "user", "parts": [{"text": MARK}]},
        {"parts": [{"text": MARK}], "role": "user"},
    ),
    check=check,
    check_names=check_names,
    check_others=check_others,
    weigh=weigh,
    text_field="content",
    needs_text=True,
)
