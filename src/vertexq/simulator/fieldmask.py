"""Google's ``readMask``: which fields of a resource a list answers with. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from vertexq.errors import Refused

Json = Mapping[str, object]


def camel(name: str) -> str:
    """Return the JSON name of a field: ``display_name`` and ``displayName`` are both ``displayName``."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def masked(resource: Json, mask: str) -> Json:
    """Return only what ``mask`` names, as in ``name,completionStats.failedCount``; all for ``""`` and ``*``.

    Raise ``Refused`` (400) for a mask that cannot be read.
    """
    if mask in {"", "*"}:
        return resource
    kept: dict[str, object] = {}
    for path in mask.split(","):
        names = [camel(name) for name in path.strip().split(".")]
        if not all(re.fullmatch(r"\w+", name) for name in names):
            raise Refused(f"Invalid field mask: {mask!r}.", status=400, code="INVALID_ARGUMENT")
        _keep(resource, names, kept)
    return kept


def _keep(resource: Json, names: list[str], kept: dict[str, object]) -> None:
    name, *rest = names
    if name not in resource:
        return
    value = resource[name]
    if not rest:
        kept[name] = value
    elif isinstance(value, Mapping):
        below = cast("dict[str, object]", kept.setdefault(name, {}))
        _keep(cast("Json", value), rest, below)
