"""Gemini: ``GenerateContentRequest`` lines in, ``GenerateContentResponse`` lines out.

What comes back is read in ``gemini_reading``; this is the way out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from vertexq.families.base import Family, NoRequest, TableForm
from vertexq.families.gemini_reading import reading
from vertexq.families.gemini_rules import RULES, estimate
from vertexq.families.online import OnlineWay
from vertexq.families.publishers import google_name
from vertexq.families.table_checks import GEMINI_CHECKS, GEMINI_TOKENS

_REQUEST_FIELDS = frozenset(
    {
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
        "toolConfig",
        "tool_config",
        "generationConfig",
        "generation_config",
        "safetySettings",
        "safety_settings",
        "labels",
        "cachedContent",
        "cached_content",
        "modelArmorConfig",
    }
)
_NAME = re.compile(r"gemini-[A-Za-z0-9._@-]+")


def request(row: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the ``GenerateContentRequest`` of a producer's row.

    A row is a prompt, ``{"prompt": text}``, ``{"request": {…}}``, or the request itself (``contents``).
    """
    if isinstance(row, str):
        return _prompt(row)
    forms = [name for name in ("request", "contents", "prompt") if name in row]
    if len(forms) != 1:
        found = f"this one has {' and '.join(map(repr, forms))}" if forms else "this one has none of them"
        raise NoRequest(f'a Gemini row has one of "request", "contents" and "prompt"; {found}')
    if forms == ["prompt"]:
        return _prompt(row["prompt"])
    if forms == ["contents"]:
        return _whole({name: value for name, value in row.items() if name in _REQUEST_FIELDS})
    return _whole(row["request"])


def _whole(request: object) -> Mapping[str, Any]:
    """Return a request that Google would not refuse for its outermost shape."""
    contents = cast("Mapping[str, Any]", request).get("contents") if isinstance(request, Mapping) else None
    if not isinstance(contents, list) or not contents:
        raise NoRequest('"contents" must be a list with at least one object')
    if not all(isinstance(content, Mapping) for content in cast("list[object]", contents)):
        raise NoRequest('every item of "contents" must be an object with "role" and "parts"')
    return cast("Mapping[str, Any]", request)


def _prompt(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str) or not text.strip():
        raise NoRequest("the prompt must be a text that is not empty")
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def accepts(model: str) -> bool:
    """Tell whether ``model`` is a Gemini publisher model: a short name, or a path that ends in one."""
    name = google_name(model)
    return _NAME.fullmatch(name) is not None and not name.startswith("gemini-embedding")


FAMILY = Family(
    name="gemini",
    example="gemini-2.5-flash",
    accepts=accepts,
    request=request,
    reading=reading,
    rows_limit=200_000,  # requests a job (Google's batch prediction overview, read 2026-11-21)
    input_limit_bytes=1_000_000_000,  # one input file (the same page)
    check=RULES,
    estimate=estimate,
    online=OnlineWay(),
    validates=True,
    resumes=True,
    tables=TableForm(
        column="request",
        reserved=frozenset({"response", "status", "processed_time"}),
        checks=GEMINI_CHECKS,
        output_tokens=GEMINI_TOKENS,
    ),
)
