"""Partial responses: Google's ``fields`` parameter, as in ``items(name,size),nextPageToken``.

The grammar: https://docs.cloud.google.com/storage/docs/json_api#partial-response (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from vertexq.errors import Refused

Json = Mapping[str, object]
_Mask = dict[str, "_Mask"]  # an empty mask takes everything below


def partial(resource: Json, fields: str) -> Json:
    """Return ``resource`` with only what ``fields`` names (all of it for ``""`` and ``*``).

    Raise ``Refused`` (400) for a mask that cannot be read.
    """
    if not fields or fields == "*":
        return resource
    return cast("Json", _cut(resource, _parse(fields)))


def _cut(value: object, mask: _Mask) -> object:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_cut(item, mask) for item in cast("list[object]", value)]
    if isinstance(value, Mapping):
        known = cast("Json", value)
        return {name: _cut(known[name], below) for name, below in mask.items() if name in known}
    return value


def _parse(fields: str) -> _Mask:
    mask, end = _parse_list(fields, 0)
    if end != len(fields):
        raise Refused(f"Invalid field selection {fields}", status=400, code="invalidParameter")
    return mask


def _parse_list(text: str, at: int) -> tuple[_Mask, int]:
    """Read ``a,b/c,d(e,f)`` from ``at`` up to a closing bracket or the end."""
    mask: _Mask = {}
    while True:
        at = _parse_path(text, at, mask)
        if at >= len(text) or text[at] != ",":
            return mask, at
        at += 1


def _parse_path(text: str, at: int, mask: _Mask) -> int:
    end = at
    while end < len(text) and text[end] not in ",/()":
        end += 1
    name = text[at:end].strip()
    if not name:
        raise Refused(f"Invalid field selection {text}", status=400, code="invalidParameter")
    below = mask.setdefault(name, {})
    if end < len(text) and text[end] == "/":
        return _parse_path(text, end + 1, below)
    if end < len(text) and text[end] == "(":
        inner, end = _parse_list(text, end + 1)
        if end >= len(text) or text[end] != ")":
            raise Refused(f"Invalid field selection {text}", status=400, code="invalidParameter")
        below.update(inner)
        return end + 1
    return end
