"""Repairs of a Gemini request that change nothing in its meaning. No I/O.

| kind | what is done | why it means the same |
|---|---|---|
| ``dropped_empty_object`` | an empty ``generationConfig``, ``toolConfig``, ``labels``, ``safetySettings``, ``functionCall.args`` or a schema's ``properties`` is left out | they are optional (discovery document of aiplatform v1); without a field they say nothing |
| ``search_without_exclusions`` | ``googleSearch: {}`` becomes ``googleSearch: {"excludeDomains": []}`` | Google's own langextract writes it so for batch jobs (googleapis/python-genai#2123) |
| ``dropped_schema_annotation`` | ``$schema``, ``$comment``, ``$id`` of a JSON schema are left out | they describe the schema, not the data (JSON Schema 2020-12, core, section 8) |
| ``number_as_text`` | a number or boolean among ``labels`` or the ``enum`` of a STRING schema becomes text | the fields are text (discovery document) |
| ``text_as_number`` | a number written as text becomes a number where the field is one | proto3's JSON mapping takes both |
| ``parts_as_array`` | ``parts`` that is one object, or one text, becomes an array of one part | the field is repeated (discovery document) |

``urlContext: {}`` and other tools without fields have no equivalent; they stay faults.
"""  # noqa: E501  (a table)

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from vertexq.check.values import items, objects

_EMPTY = frozenset(
    {"generationConfig", "generation_config", "toolConfig", "tool_config", "labels", "safetySettings"}
    | {"safety_settings"}
)
_CONTENTS = frozenset({"contents", "systemInstruction", "system_instruction"})
_SEARCHES = ("googleSearch", "google_search")
_ANNOTATIONS = ("$schema", "$comment", "$id")
_SCHEMAS = ("responseSchema", "response_schema", "parameters", "response")
_JSON_SCHEMAS = (
    *("responseJsonSchema", "response_json_schema"),
    *("parametersJsonSchema", "parameters_json_schema"),
)
_CONFIG_NUMBERS = (
    *("temperature", "topP", "top_p", "topK", "top_k", "candidateCount", "candidate_count"),
    *("maxOutputTokens", "max_output_tokens", "seed", "logprobs", "presencePenalty", "presence_penalty"),
    *("frequencyPenalty", "frequency_penalty"),
)
_THINKING = ("thinkingBudget", "thinking_budget")
_SCHEMA_NUMBERS = (
    *("minimum", "maximum", "minItems", "min_items", "maxItems", "max_items"),
    *("minLength", "min_length", "maxLength", "max_length"),
    *("minProperties", "min_properties", "maxProperties", "max_properties"),
)
_MAPS = ("properties", "$defs", "defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "any_of", "allOf", "oneOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "not")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,15})(\.\d{1,15})?([eE][+-]?\d{1,2})?")


def mend(name: str, value: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the field's value without its harmless defects (None: without it), and the kinds of repairs.

    The value that is given may be changed.
    """
    mending = _Mending()
    return mending.field(name, value), tuple(mending.kinds)


class _Mending:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def field(self, name: str, value: Any) -> Any:
        if name in _EMPTY and value == {}:
            self.kinds.append("dropped_empty_object")
            return None
        if name in _CONTENTS:
            for content in objects(value):
                self._content(content)
        elif name in ("generationConfig", "generation_config"):
            for config in objects(value):
                self._config(config)
        elif name == "tools":
            for tool in objects(value):
                self._tool(tool)
        elif name == "labels":
            for labels in objects(value):
                self._texts(labels)
        return value

    def _content(self, content: dict[str, Any]) -> None:
        parts = content.get("parts")
        if isinstance(parts, str):
            content["parts"] = [{"text": parts}]
            self.kinds.append("parts_as_array")
        elif isinstance(parts, dict):
            content["parts"] = [parts]
            self.kinds.append("parts_as_array")
        for part in objects(content.get("parts")):
            for call in objects(part.get("functionCall", part.get("function_call"))):
                self._drop_empty(call, "args")

    def _config(self, config: dict[str, Any]) -> None:
        self._numbers(config, _CONFIG_NUMBERS)
        for thinking in objects(config.get("thinkingConfig", config.get("thinking_config"))):
            self._numbers(thinking, _THINKING)
        self._schemas_of(config)

    def _tool(self, tool: dict[str, Any]) -> None:
        for search in _SEARCHES:
            if tool.get(search) == {}:
                tool[search] = {"excludeDomains": []}
                self.kinds.append("search_without_exclusions")
        for function in objects(tool.get("functionDeclarations", tool.get("function_declarations"))):
            self._schemas_of(function)

    def _schemas_of(self, owner: dict[str, Any]) -> None:
        for name in _SCHEMAS:
            for schema in objects(owner.get(name)):
                self._schema(schema, is_json=False)
        for name in _JSON_SCHEMAS:
            for schema in objects(owner.get(name)):
                self._schema(schema, is_json=True)

    def _schema(self, schema: dict[str, Any], *, is_json: bool) -> None:
        if is_json:
            for name in _ANNOTATIONS:
                if isinstance(schema.get(name), str):
                    del schema[name]
                    self.kinds.append("dropped_schema_annotation")
        else:
            self._numbers(schema, _SCHEMA_NUMBERS)
            self._enum(schema)
        self._drop_empty(schema, "properties")
        for inner in _inner_schemas(schema):
            self._schema(inner, is_json=is_json)

    def _enum(self, schema: dict[str, Any]) -> None:
        values, of_type = items(schema.get("enum")), schema.get("type")
        if isinstance(of_type, str) and of_type.upper() == "STRING":
            for at, value in enumerate(values):
                if isinstance(value, int | float):
                    values[at] = _text(value)
                    self.kinds.append("number_as_text")

    def _texts(self, labels: dict[str, Any]) -> None:
        for name, value in labels.items():
            if isinstance(value, int | float):
                labels[name] = _text(value)
                self.kinds.append("number_as_text")

    def _numbers(self, owner: dict[str, Any], names: Iterable[str]) -> None:
        for name in names:
            value = owner.get(name)
            if isinstance(value, str) and _NUMBER.fullmatch(value):
                owner[name] = orjson.loads(value)
                self.kinds.append("text_as_number")

    def _drop_empty(self, owner: dict[str, Any], name: str) -> None:
        if owner.get(name) == {}:
            del owner[name]
            self.kinds.append("dropped_empty_object")


def _inner_schemas(schema: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for name in _MAPS:
        for schemas in objects(schema.get(name)):
            for inner in schemas.values():
                yield from objects(inner)
    for name in (*_LISTS, *_SINGLES):
        yield from objects(schema.get(name))


def _text(value: float) -> str:
    return orjson.dumps(value).decode()
