"""Text embedding models with lines of their own: a text in, a vector out, and no key on the way.

What comes back is read in ``text_embedding_reading``. Gemini's embedding models are in ``gemini_embedding``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from vertexq.errors import BadInput
from vertexq.families.base import Family, NoRequest, Parameters, Request, Row, TableForm
from vertexq.families.online import OnlineWay, Verb
from vertexq.families.publishers import google_name
from vertexq.families.text_embedding_reading import reading
from vertexq.families.text_embedding_retyped import retyped
from vertexq.families.text_embedding_rules import NO_TEXT, RULES, checked_parameters, estimate, is_text
from vertexq.families.wire import Fields, Wire

_FIELDS = ("content", "task_type", "title")
_NAME = re.compile(
    r"(?:text-embedding-\d{3}|text-multilingual-embedding-\d{3}|textembedding-gecko[\w-]*)(?:@\w+)?"
)
_FORMS = ("request", "content", "prompt")


def request(row: Row) -> Mapping[str, Any]:
    """Return the instance of a producer's row.

    A row is a text, ``{"content": text}`` with ``task_type`` and ``title`` beside it, or has a ``request``.
    """
    found = taken(row, _FIELDS)
    if not is_text(found.get("content")):
        raise NoRequest(NO_TEXT)
    return found


def taken(row: Row, fields: Sequence[str]) -> Mapping[str, Any]:
    """Return what a row says of its request, in whatever form; raise ``NoRequest`` for none or several.

    Beside ``content`` the other ``fields`` are taken, all others are the producer's.
    """
    if isinstance(row, str):
        return {"content": row}
    forms = [name for name in _FORMS if name in row]
    if len(forms) != 1:
        found = f"this one has {' and '.join(map(repr, forms))}" if forms else "this one has none of them"
        raise NoRequest(f'a row to embed has one of "content", "request" and "prompt"; {found}')
    if forms == ["prompt"]:
        return {"content": row["prompt"]}
    if forms == ["content"]:
        return _beside(row, fields)
    if not isinstance(row["request"], Mapping):
        raise NoRequest('"request" must be an object with a "content"')
    return cast("Mapping[str, Any]", row["request"])


def _beside(row: Mapping[str, Any], fields: Sequence[str]) -> Mapping[str, Any]:
    if "taskType" in row:
        raise NoRequest('write "task_type" beside "content", as Google does')
    return {name: row[name] for name in fields if name in row}


def requesting(parameters: Parameters) -> Request:
    """Return what makes requests under a task type or title for all rows; what a row says itself wins."""

    def made(row: Row) -> Mapping[str, Any]:
        own = request(row)
        missing = {name: value for name, value in parameters.items() if own.get(name) is None}
        return {**own, **missing}

    return made


def parameters(given: Parameters) -> Parameters:
    """Return what may be set for all rows; raise ``BadInput`` for anything else."""
    if "dimensions" in given:
        raise BadInput(
            "batch jobs of text embedding models have no setting for dimensions: they write whole vectors; "
            "use a Gemini embedding model, or cut the vectors yourself"
        )
    return checked_parameters(given, _FIELDS[1:])


def accepts(model: str) -> bool:
    """Tell whether ``model`` is a text embedding model: a short name, or a path that ends in one."""
    return _NAME.fullmatch(google_name(model)) is not None


def _instance(row: Fields) -> object:
    """Return the instance that an output line echoes; in a table its fields are columns, beside others."""
    echoed: object = row.get("instance", row)
    if not isinstance(echoed, dict):
        return echoed
    fields = cast("dict[str, object]", echoed)
    return {name: fields[name] for name in _FIELDS if name in fields} or None


def _answered(line: Fields, body: Fields, _at: str) -> Fields:
    return {"instance": line, "predictions": body.get("predictions", []), "status": ""}


def _failed(line: Fields, status: str, _at: str) -> Fields:
    return {"instance": line, "predictions": [], "status": status}


def dimensions(_model: str, _parameters: Parameters) -> int:
    """Return 768: every model of the family has as many (Google's page on text embeddings)."""
    return 768


FAMILY = Family(
    name="text-embedding",
    example="text-embedding-005",
    accepts=accepts,
    request=request,
    requesting=requesting,
    reading=reading,
    rows_limit=30_000,  # prompts a job (Google's page on batch text embeddings, read 2026-11-21)
    input_limit_bytes=1_000_000_000,  # none is documented; that of Gemini
    check=RULES,
    estimate=estimate,
    wire=Wire(key="", head=b"", middle=b"", request_of=lambda line: line, echo=_instance, retyped=retyped),
    slots=1,  # "You can run only one batch response job at a time" (the same page)
    parameters=parameters,
    writes_text=False,
    dimensions=dimensions,
    online=OnlineWay(verb=Verb.PREDICT, request=lambda line: line, answered=_answered, failed=_failed),
    tables=TableForm(
        column="content",
        reserved=frozenset({"predictions", "status", "instance", "processed_time"}),
    ),
)
