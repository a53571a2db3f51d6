"""Reading a Gemini request as loosely as Google does: its prompt, its options, its faults. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

Json = Mapping[str, object]

_ROLES = frozenset({"user", "model", "function"})
_TOKEN_LETTERS = 4  # letters to a token, near enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What of a request decides its answer. ``role_fault`` says that a role is none."""

    text: str
    tokens: int
    answer_tokens: int | None
    wants_json: bool
    schema: Json
    candidates: int
    role_fault: bool


def prompt_of(request: Json) -> Prompt:
    """Read a request; names may be written in camel case or with underscores."""
    contents = _objects(request.get("contents"))
    config = _object(_either(request, "generationConfig", "generation_config"))
    system = _object(_either(request, "systemInstruction", "system_instruction"))
    texts = [text for content in contents for text in _texts(content)]
    letters = sum(map(len, texts)) + sum(map(len, _texts(system)))
    schemas = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
    return Prompt(
        text=texts[-1] if texts else "",
        tokens=max(1, letters // _TOKEN_LETTERS),
        answer_tokens=_whole(_either(config, "maxOutputTokens", "max_output_tokens")),
        wants_json=_either(config, "responseMimeType", "response_mime_type") == "application/json",
        schema=_object(_either(config, *schemas)),
        candidates=_whole(_either(config, "candidateCount", "candidate_count")) or 1,
        role_fault=any(content.get("role") not in {None, *_ROLES} for content in contents),
    )


def tokens_in(text: str) -> int:
    """Return about how many tokens a text has."""
    return max(1, len(text) // _TOKEN_LETTERS)


def cut_to(text: str, tokens: int) -> str:
    """Return the beginning of a text, about so many tokens long."""
    return text[: max(1, tokens * _TOKEN_LETTERS)]


def _texts(content: Json) -> list[str]:
    found = [part.get("text") for part in _objects(content.get("parts"))]
    return [text for text in found if isinstance(text, str)]


def _either(value: Json, *names: str) -> object:
    return next((value[name] for name in names if value.get(name) is not None), None)


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    return [cast("Json", item) for item in items if isinstance(item, dict)]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
