"""Claude on Vertex AI: requests of Anthropic's Messages API in, messages out.

Google's page on Claude's batch predictions (read 2026-11-21) says how a line looks; what comes back is read
in ``claude_reading``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.plain_text import MARK
from vertexq.errors import BadInput
from vertexq.families import chat
from vertexq.families.base import Family, Parameters, Row, TableForm
from vertexq.families.claude_reading import reading
from vertexq.families.publishers import PublishedName, in_a_region_only
from vertexq.families.table_checks import TableCheck, first_number, list_check
from vertexq.families.wire import Wire

VERSION: Final = "vertex-2023-10-16"
"""What Google's page on Claude has for ``anthropic_version``."""

_FIELDS = frozenset(
    {
        *("messages", "max_tokens", "system", "metadata", "stop_sequences", "temperature", "top_p", "top_k"),
        *("tools", "tool_choice", "thinking", "output_config", "output_format", "context_management"),
        *("anthropic_version", "anthropic_beta", "stream"),
    }
)
_ROLES = frozenset({"user", "assistant"})
_NEEDED = {
    "messages": 'write [{"role": "user", "content": "…"}]',
    "max_tokens": "write it into the request, or give it for all rows: --parameter max_tokens=1024",
    "anthropic_version": f'write "{VERSION}"',
}


def request(row: Row, given: Parameters | None = None) -> Mapping[str, Any]:
    """Return the Messages request of a row; see ``chat.request_in`` for its forms.

    ``params``, as in batches of Anthropic's own API, is a wrapper too. The model belongs to the job and is
    left out; ``max_tokens`` and ``anthropic_version`` are filled in.
    """
    found = chat.request_in(row, wrappers=("request", "params"), fields=_FIELDS)
    found.pop("model", None)
    filled = {"anthropic_version": VERSION, **(given or {})}
    return found | {name: value for name, value in filled.items() if name not in found}


def _requesting(given: Parameters) -> Callable[[Row], Mapping[str, Any]]:
    return partial(request, given=given)


def parameters(given: Parameters) -> Parameters:
    """Return ``max_tokens`` and ``anthropic_version`` of rows that have none; raise ``BadInput``."""
    if unknown := sorted(set(given) - {"max_tokens", "anthropic_version"}):
        raise BadInput(
            f"{unknown[0]!r} is no parameter for all rows of a Claude model; there are max_tokens and "
            "anthropic_version, all others belong into each request"
        )
    if next(chat.check_limit("max_tokens", given.get("max_tokens", 1)), None):
        raise BadInput("max_tokens must be a whole number, 1 or more")
    if not isinstance(given.get("anthropic_version", ""), str):
        raise BadInput(f"anthropic_version must be a text, such as {VERSION}")
    return dict(given)


def accepts(model: str) -> bool:
    """Tell whether a model is one of Anthropic's."""
    named = PublishedName.parse(model)
    return named is not None and named.publisher == "anthropic" and named.name.startswith("claude-")


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of a request."""
    if name == "messages":
        yield from chat.check_messages(value, _ROLES)
    elif name == "max_tokens":
        yield from chat.check_limit(name, value)
    elif name == "stream":
        yield from chat.check_stream(value)


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of a request's fields together."""
    for name, mend in _NEEDED.items():
        if name not in names:
            yield Flaw(Rule.REQUEST, "request", f'there is no "{name}"', mend)
    if "model" in names:
        text = "the model belongs to the job, not to its rows"
        yield Flaw(Rule.UNSUPPORTED, "request.model", text, "leave it out")


def weigh(name: str, value: object) -> Weight:
    """Return what a field weighs."""
    if name in ("messages", "system"):
        return chat.weigh_content(value)
    if name == "max_tokens":
        return chat.weigh_limit(value)
    return chat.weigh_json(value) if name == "tools" else Weight()


def estimate(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return (input tokens, most output tokens) of a request."""
    return chat.estimated([weigh(name, value) for name, value in request.items()])


def _lacking(name: str, mend: str) -> TableCheck:
    return TableCheck(
        rule=Rule.REQUEST,
        sql=f"JSON_VALUE(vertexq_json, '$.{name}') IS NULL",
        text=f'there is no "{name}"',
        mend=mend,
    )


FAMILY = Family(
    name="claude",
    example="anthropic/claude-sonnet-4-5",
    accepts=accepts,
    request=request,
    requesting=_requesting,
    reading=reading,
    rows_limit=200_000,  # neither this nor the next is documented for Claude: they are Gemini's
    input_limit_bytes=1_000_000_000,
    check=FieldRules(
        varying="messages",
        plain=(
            [{"role": "user", "content": MARK}],
            [{"content": MARK, "role": "user"}],
            [{"role": "user", "content": [{"type": "text", "text": MARK}]}],
        ),
        check=check,
        check_names=check_names,
        weigh=weigh,
        imported=False,
    ),
    estimate=estimate,
    wire=Wire(key="custom_id", head=b'{"custom_id":"'),
    slots=4,  # jobs at once in a project (the same page)
    refusal=partial(in_a_region_only, "Claude models"),
    parameters=parameters,
    tables=TableForm(
        column="request",
        reserved=frozenset({"response", "status", "processed_time"}),
        checks=(
            list_check("messages"),
            _lacking("max_tokens", "write it into each request: those of a table stay as they are"),
            _lacking("anthropic_version", f'write "{VERSION}" into each request'),
        ),
        output_tokens=first_number("$.max_tokens"),
    ),
)
