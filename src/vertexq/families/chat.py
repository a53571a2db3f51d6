"""What Claude's messages and those of open models have in common: checks, weights, row forms. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import orjson

from vertexq.check.base import Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.rows import BYTES_PER_TOKEN
from vertexq.check.values import items, objects
from vertexq.families.base import NoRequest, Row

MEDIA_TOKENS = 1_600
"""What an image is reckoned as: about the most that Claude counts for one (Anthropic's page on vision)."""

_FORM = 'write [{"role": "user", "content": "…"}]'


def request_in(row: Row, *, wrappers: Collection[str], fields: frozenset[str]) -> dict[str, Any]:
    """Return the request of a row: a prompt, ``{"prompt"}``, the request itself, or one below a wrapper.

    ``fields`` are those of a request; whatever else stands beside ``messages`` is left out.
    """
    if isinstance(row, str):
        return _prompt(row)
    forms = [name for name in (*wrappers, "messages", "prompt") if name in row]
    if len(forms) != 1:
        known = ", ".join(f'"{name}"' for name in (*wrappers, "messages", "prompt"))
        found = f"this one has {' and '.join(map(repr, forms))}" if forms else "this one has none of them"
        raise NoRequest(f"a row has one of {known}; {found}")
    if forms == ["prompt"]:
        return _prompt(row["prompt"])
    if forms == ["messages"]:
        return {name: value for name, value in row.items() if name in fields}
    inner = row[forms[0]]
    if not isinstance(inner, Mapping):
        raise NoRequest(f'"{forms[0]}" must be an object with "messages"')
    return dict(cast("Mapping[str, Any]", inner))


def _prompt(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or not text.strip():
        raise NoRequest("the prompt must be a text that is not empty")
    return {"messages": [{"role": "user", "content": text}]}


def check_messages(value: object, roles: frozenset[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the messages of a request."""
    messages = items(value)
    if not messages:
        text = '"messages" must be a list with at least one object'
        yield Flaw(Rule.REQUEST, "request.messages", text, _FORM)
    for message in messages:
        if not isinstance(message, Mapping):
            yield Flaw(Rule.REQUEST, "request.messages", "a message is an object", _FORM)
            continue
        yield from _message(cast("Mapping[str, Any]", message), roles)


def _message(message: Mapping[str, Any], roles: frozenset[str]) -> Iterator[Flaw]:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in roles:
        text = f"the role must be one of {', '.join(sorted(roles))}"
        yield Flaw(
            Rule.ROLE, "request.messages.role", text, "write user, or assistant for what the model said"
        )
    if content is None and "tool_calls" in message:
        return
    if not isinstance(content, str) and not (items(content) and len(objects(content)) == len(items(content))):
        text = "content must be a text, or a list of objects"
        yield Flaw(Rule.PARTS, "request.messages.content", text, 'write "content": "…"')


def check_limit(name: str, value: object) -> Iterator[Flaw]:
    """Yield a flaw unless a limit of tokens is a positive whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        text = f"{name} must be a whole number, 1 or more"
        yield Flaw(Rule.REQUEST, f"request.{name}", text, "write how many tokens an answer may have")


def check_stream(value: object) -> Iterator[Flaw]:
    """Yield a flaw when an answer is wanted as a stream."""
    if value:
        text = "the answers of a batch job are not streamed"
        yield Flaw(Rule.UNSUPPORTED, "request.stream", text, "leave it out")


def weigh_content(value: object) -> Weight:
    """Return what a text, blocks of content, or messages weigh."""
    size, media = _weight(value)
    return Weight(text_bytes=size, input_tokens=media * MEDIA_TOKENS)


def weigh_limit(value: object) -> Weight:
    """Return the longest answer that a limit allows."""
    is_limit = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return Weight(output_tokens=cast("int", value) if is_limit else 0)


def weigh_json(value: object) -> Weight:
    """Return what tools or a schema weigh: they are read as they are written."""
    return Weight(text_bytes=len(orjson.dumps(value)) if value else 0)


def estimated(weights: list[Weight]) -> tuple[int, int]:
    """Return (input tokens, most output tokens) of a request's fields together."""
    text_bytes = sum(weight.text_bytes for weight in weights)
    media = sum(weight.input_tokens for weight in weights)
    return -(-text_bytes // BYTES_PER_TOKEN) + media, sum(weight.output_tokens for weight in weights)


def _weight(value: object) -> tuple[int, int]:
    """Return (bytes of text, number of media) of a text, a message, a block, or a list of them."""
    if isinstance(value, str):
        return len(value.encode()), 0
    if isinstance(value, Mapping):
        return _block_weight(cast("Mapping[str, Any]", value))
    found = [_weight(each) for each in items(value)]
    return sum(size for size, _ in found), sum(media for _, media in found)


def _block_weight(block: Mapping[str, Any]) -> tuple[int, int]:
    if "role" in block or block.get("type") == "tool_result":
        return _weight(block.get("content"))
    if isinstance(block.get("text"), str):
        return _weight(block["text"])
    if "source" in block or "image_url" in block:
        return 0, 1
    return len(orjson.dumps(block)), 0
