"""What Gemini's batch takes in a request beyond the rules of the import, and what one weighs. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import orjson

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.plain_text import MARK
from vertexq.check.rows import BYTES_PER_TOKEN
from vertexq.check.values import items, objects
from vertexq.families.gemini_mends import mend

MEDIA_TOKENS = 258
"""What an image costs, and a page of a document (Google's page on tokens). Every inline or linked medium is
reckoned so; of video (258 a second) and audio (32 a second) the length is not known before."""

ROLES = frozenset({"user", "model", "function"})
_CONTENTS = frozenset({"contents", "systemInstruction", "system_instruction"})
_CONFIGS = frozenset({"generationConfig", "generation_config"})
_SCHEMAS = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
_MEDIA = ("inlineData", "inline_data", "fileData", "file_data")
_UNSUPPORTED = {  # Google's overview of batch prediction, read 2026-11-21
    "cachedContent": "explicit caching does not work in batch jobs",
    "cached_content": "explicit caching does not work in batch jobs",
}


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of a request."""
    if name == "contents" and not items(value):
        text = '"contents" must be a list with at least one object'
        yield Flaw(Rule.REQUEST, "request.contents", text, 'write [{"role": "user", "parts": [{"text": …}]}]')
    elif name in _CONTENTS:
        yield from _contents(name, value)
    elif name in _UNSUPPORTED and value is not None:
        yield Flaw(Rule.UNSUPPORTED, f"request.{name}", _UNSUPPORTED[name], "leave it out")
    elif name == "tools":
        yield from _tools(value)


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of a request's fields together."""
    if "contents" not in names:
        text = '"contents" must be a list with at least one object'
        yield Flaw(Rule.REQUEST, "request", text, 'write [{"role": "user", "parts": [{"text": …}]}]')
    if "modelArmorConfig" in names and ("safetySettings" in names or "safety_settings" in names):
        text = "Model Armor and safetySettings exclude each other"
        yield Flaw(Rule.UNSUPPORTED, "request.modelArmorConfig", text, "leave one of them out")
    for name in names:
        if "_" in name and (camel := _camel(name)) in names:
            text = f"the same field as {camel}, written otherwise"
            yield Flaw(Rule.REPEATED_NAME, f"request.{name}", text, "keep one of them")


def weigh(name: str, value: object) -> Weight:
    """Return what a field weighs: its texts, its media, the answer it allows."""
    if name in _CONTENTS:
        return _weight_of_contents(value)
    if name in _CONFIGS and isinstance(value, Mapping):
        return _weight_of_config(cast("Mapping[str, Any]", value))
    return Weight(text_bytes=_size(value)) if name == "tools" else Weight()


def estimate(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return (input tokens, most output tokens) of a request; 0 output tokens when it sets no limit.

    Four bytes of text are a token, rounded up over the whole request, and a medium is ``MEDIA_TOKENS``. The
    most output is ``maxOutputTokens`` for each of ``candidateCount`` candidates.
    """
    weights = [weigh(name, value) for name, value in request.items()]
    text_bytes = sum(weight.text_bytes for weight in weights)
    media = sum(weight.input_tokens for weight in weights)
    return -(-text_bytes // BYTES_PER_TOKEN) + media, sum(weight.output_tokens for weight in weights)


def _contents(name: str, value: object) -> Iterator[Flaw]:
    found = objects(value)
    for content in found:
        yield from _content(f"request.{name}", content)
    given = [each for each in (items(value) or [value]) if each is not None]
    if len(found) < len(given) and value != []:
        text = 'an object with "parts" is expected'
        yield Flaw(Rule.REQUEST, f"request.{name}", text, 'write {"parts": [{"text": …}]}')


def _content(path: str, content: Mapping[str, Any]) -> Iterator[Flaw]:
    parts, role = items(content.get("parts")), content.get("role")
    if not parts or not all(isinstance(part, dict) for part in parts):
        text = "parts must be an array of objects"
        yield Flaw(Rule.PARTS, f"{path}.parts", text, 'write "parts": [{"text": …}]')
    if role is not None and (not isinstance(role, str) or role not in ROLES):
        text = "the role must be user, model or function"
        yield Flaw(Rule.ROLE, f"{path}.role", text, "write user, or model for what the model said")


def _tools(value: object) -> Iterator[Flaw]:
    for tool in objects(value):
        for retrieval in objects(tool.get("retrieval")):
            if "vertexRagStore" in retrieval or "vertex_rag_store" in retrieval:
                text = "the RAG tool does not work in batch jobs"
                yield Flaw(Rule.UNSUPPORTED, "request.tools.retrieval", text, "leave it out")
                return


def _weight_of_contents(value: object) -> Weight:
    parts = [part for content in objects(value) for part in objects(items(content.get("parts")))]
    weights = [_weight_of_part(part) for part in parts]
    media = sum(count for _, count in weights)
    return Weight(text_bytes=sum(size for size, _ in weights), input_tokens=media * MEDIA_TOKENS)


def _weight_of_part(part: Mapping[str, Any]) -> tuple[int, int]:
    """Return (bytes of text, number of media)."""
    text = part.get("text")
    if isinstance(text, str):
        return len(text.encode()), 0
    if any(name in part for name in _MEDIA):
        return 0, 1
    return _size(part), 0


def _weight_of_config(config: Mapping[str, Any]) -> Weight:
    limit = _whole(config, "maxOutputTokens", "max_output_tokens", default=0)
    candidates = _whole(config, "candidateCount", "candidate_count", default=1)
    schemas = sum(_size(config[name]) for name in _SCHEMAS if name in config)
    return Weight(text_bytes=schemas, output_tokens=limit * candidates)


def _whole(config: Mapping[str, Any], *names: str, default: int) -> int:
    """Return the number under one of the names; it may be written as text (proto3's JSON mapping)."""
    found = next((config[name] for name in names if config.get(name) is not None), default)
    try:
        return max(int(found), 0)
    except (TypeError, ValueError, OverflowError):
        return default


def _size(value: object) -> int:
    return len(orjson.dumps(value)) if value else 0


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


RULES = FieldRules(
    varying="contents",
    plain=(
        [{"role": "user", "parts": [{"text": MARK}]}],
        [{"parts": [{"text": MARK}], "role": "user"}],
        [{"parts": [{"text": MARK}]}],
    ),
    check=check,
    check_names=check_names,
    weigh=weigh,
    mend=mend,
)
