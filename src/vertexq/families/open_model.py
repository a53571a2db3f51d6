"""Open models that Google runs (Llama, gpt-oss, Qwen, DeepSeek …): chat completions in and out.

Google's page on batch predictions of open models (read 2026-11-21) says how a line looks; what comes back is
read in ``open_model_reading``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.plain_text import MARK
from vertexq.errors import BadInput
from vertexq.families import chat
from vertexq.families.base import Family, NoRequest, Parameters, Request, Row, TableForm
from vertexq.families.open_model_reading import reading
from vertexq.families.publishers import PublishedName, in_a_region_only
from vertexq.families.table_checks import first_number, list_check
from vertexq.families.wire import Fields, Wire

URL = "/v1/chat/completions"
_FIELDS = frozenset(
    {
        *("messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "n"),
        *("stop", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"),
        *("response_format", "tools", "tool_choice", "parallel_tool_calls", "user", "reasoning_effort"),
        *("chat_template_kwargs", "stream"),
    }
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_LIMITS = ("max_tokens", "max_completion_tokens")
_NOT_OPEN = frozenset({"google", "anthropic"})


def request(row: Row, given: Parameters | None = None) -> Mapping[str, Any]:
    """Return the body of a row's request; see ``chat.request_in`` for its forms.

    A line of an OpenAI batch file (``custom_id``, ``method``, ``url``, ``body``) is one too.
    """
    if not isinstance(row, str) and row.get("url", URL) != URL:
        raise NoRequest(f'the "url" of a row must be {URL}: batch jobs of open models are chat completions')
    found = chat.request_in(row, wrappers=("body", "request"), fields=_FIELDS)
    if given and not any(name in found for name in _LIMITS):
        found |= given
    return found


def _requesting(given: Parameters) -> Request:
    return partial(request, given=given)


def _naming(model: str, request: Request) -> Callable[[Row], Mapping[str, Any]]:
    """Return a function that writes the model into requests without one, as Google's samples have it."""
    named = PublishedName.parse(model)
    name = f"{named.publisher}/{named.name}" if named else model

    def naming(row: Row) -> Mapping[str, Any]:
        found = request(row)
        return found if "model" in found else {**found, "model": name}

    return naming


def parameters(given: Parameters) -> Parameters:
    """Return ``max_tokens`` for rows that set no limit; raise ``BadInput`` for anything else."""
    if unknown := sorted(set(given) - {"max_tokens"}):
        raise BadInput(
            f"{unknown[0]!r} is no parameter for all rows of an open model; there is max_tokens, all others "
            "belong into each request"
        )
    if next(chat.check_limit("max_tokens", given.get("max_tokens", 1)), None):
        raise BadInput("max_tokens must be a whole number, 1 or more")
    return dict(given)


def accepts(model: str) -> bool:
    """Tell whether a model is one that Google runs as a service, by its name: they end in ``-maas``."""
    named = PublishedName.parse(model)
    return named is not None and named.publisher not in _NOT_OPEN and named.name.endswith("-maas")


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of a request."""
    if name == "messages":
        yield from chat.check_messages(value, _ROLES)
    elif name in _LIMITS:
        yield from chat.check_limit(name, value)
    elif name == "stream":
        yield from chat.check_stream(value)
    elif name == "model" and not isinstance(value, str):
        yield Flaw(Rule.REQUEST, "request.model", "the model must be a text", "leave it out")


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of a request's fields together."""
    if "messages" not in names:
        mend = 'write [{"role": "user", "content": "…"}]'
        yield Flaw(Rule.REQUEST, "request", 'there is no "messages"', mend)
    if "model" not in names:
        yield Flaw(Rule.REQUEST, "request", 'there is no "model"', "write the model's name")


def weigh(name: str, value: object) -> Weight:
    """Return what a field weighs."""
    if name == "messages":
        return chat.weigh_content(value)
    if name in _LIMITS:
        return chat.weigh_limit(value)
    return chat.weigh_json(value) if name in ("tools", "response_format") else Weight()


def estimate(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return (input tokens, most output tokens) of a request."""
    return chat.estimated([weigh(name, value) for name, value in request.items()])


def _body(row: Fields) -> object:
    return row.get("body")


FAMILY = Family(
    name="open-model",
    example="meta/llama-4-maverick-17b-128e-instruct-maas",
    accepts=accepts,
    request=request,
    requesting=_requesting,
    naming=_naming,
    reading=reading,
    rows_limit=200_000,  # neither this nor the next is documented for open models: they are Gemini's
    input_limit_bytes=1_000_000_000,
    check=FieldRules(
        varying="messages",
        plain=(
            [{"role": "user", "content": MARK}],
            [{"content": MARK, "role": "user"}],
        ),
        check=check,
        check_names=check_names,
        weigh=weigh,
        imported=False,
    ),
    estimate=estimate,
    wire=Wire(
        key="custom_id",
        head=b'{"custom_id":"',
        middle=b',"method":"POST","url":"' + URL.encode() + b'","body":',
        request_of=_body,
        echo=_body,
    ),
    refusal=partial(in_a_region_only, "open models"),
    parameters=parameters,
    tables=TableForm(
        column="body",
        reserved=frozenset({"response", "id", "error", "status", "processed_time"}),
        checks=(list_check("messages"),),
        output_tokens=first_number("$.max_completion_tokens", "$.max_tokens"),
    ),
)
