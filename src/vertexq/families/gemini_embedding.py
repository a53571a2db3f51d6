"""Gemini's embedding models: ``EmbedContentRequest`` lines with a key in, vectors with the same key out.

The key beside the request is documented here, and comes back. What the options are called in a line is
disputed: Google's page has them in ``embed_content_config``, the live service was seen to take them directly
in the request (litellm, BerriAI/litellm#35638). The parameter ``options_form`` says which is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from vertexq.families.base import Family, NoRequest, Parameters, Request, Row
from vertexq.families.gemini_embedding_reading import reading
from vertexq.families.gemini_embedding_rules import (
    CONFIGS,
    FLAT,
    NESTED,
    OPTIONS,
    OPTIONS_FORM,
    RULES,
    estimate,
    parameters,
)
from vertexq.families.online import Fields, OnlineWay, Verb
from vertexq.families.publishers import google_name
from vertexq.families.text_embedding import taken
from vertexq.families.text_embedding_rules import NO_TEXT, is_text

_MODEL = re.compile(r"gemini-embedding-[A-Za-z0-9._@-]+")
_PLACES = {  # Google's page on batch embeddings, read 2026-11-21; it is not sure of us-east1
    "gemini-embedding-001": frozenset(
        {"us-central1", "us-east1", "us-east4", "us-west1", "us-west4", "europe-west1", "europe-west4"}
    ),
    "gemini-embedding-2": frozenset({"global", "us", "eu"}),
}
_CAMEL = {"task_type": "taskType", "output_dimensionality": "outputDimensionality"}


def requesting(given: Parameters) -> Request:
    """Return what makes requests under parameters for all rows; what a row says itself wins."""
    form = given.get(OPTIONS_FORM, NESTED)
    usual = {
        "task_type": given.get("task_type"),
        "title": given.get("title"),
        "output_dimensionality": given.get("dimensions"),
    }

    def made(row: Row) -> Mapping[str, Any]:
        found = taken(row, ("content", *OPTIONS))
        own: dict[str, Any] = dict(found)
        said: dict[str, Any] = (
            {name: own.pop(name) for name in OPTIONS if name in own} if _is_short(row) else {}
        )
        own["content"] = _content(found.get("content"))
        return _with_options(own, {**usual, **said}, form)

    return made


request = requesting({})
"""Return the ``EmbedContentRequest`` of a producer's row.

A row is a text, ``{"content": text or {"parts": […]}}`` with ``task_type``, ``title`` and
``output_dimensionality`` beside it, or ``{"request": {…}}``.
"""


def _is_short(row: Row) -> bool:
    """Tell whether options stand beside the content, to be put where Google wants them."""
    return not isinstance(row, str) and "request" not in row


def _content(content: object) -> object:
    if isinstance(content, str):
        if not is_text(content):
            raise NoRequest(NO_TEXT)
        return {"parts": [{"text": content}]}
    if not isinstance(content, Mapping):
        raise NoRequest('"content" must be a text, or an object with "parts"')
    return cast("object", content)


def _with_options(own: dict[str, Any], options: Mapping[str, Any], form: object) -> Mapping[str, Any]:
    """Return a request with what it does not say of its options itself, in the form that is asked for."""
    name = next((name for name in CONFIGS if isinstance(own.get(name), Mapping)), CONFIGS[0])
    config = cast("Mapping[str, Any]", own.get(name) or {})
    missing = {
        option: value
        for option, value in options.items()
        if value is not None and not any(_says(place, option) for place in (own, config))
    }
    if not missing:
        return own
    return {**own, **missing} if form == FLAT else {**own, name: {**config, **missing}}


def _says(place: Mapping[str, Any], option: str) -> bool:
    return any(place.get(name) is not None for name in (option, _CAMEL.get(option, option)))


def with_form(given: Parameters, form: str) -> Parameters:
    """Return parameters with the form of the options that a setting says, where they say none themselves."""
    return given if OPTIONS_FORM in given or form == NESTED else {**given, OPTIONS_FORM: form}


def accepts(model: str) -> bool:
    """Tell whether ``model`` is a Gemini embedding model: a short name, or a path that ends in one."""
    return _MODEL.fullmatch(google_name(model)) is not None


def refusal(model: str, location: str) -> str:
    """Say why jobs of a model cannot run in a location; "" when they can, or nobody has said."""
    name = model.rpartition("/")[2].partition("@")[0]
    start = next((known for known in _PLACES if name == known or name.startswith(f"{known}-")), "")
    if not start or location in _PLACES[start]:
        return ""
    places = ", ".join(sorted(_PLACES[start]))
    return f"batch jobs of {start} run in {places} and not in {location}; name one of these locations"


def misfit(model: str, given: Parameters) -> str:
    """Say which parameters a model would leave unused; "" for none (Google's page on embeddings)."""
    unused = [name for name in ("task_type", "title") if given.get(name) is not None]
    if not unused or not model.rpartition("/")[2].startswith("gemini-embedding-2"):
        return ""
    return (
        f"gemini-embedding-2 takes no notice of {' and '.join(unused)}; leave it out, and say in the text "
        "itself what the vector is for"
    )


def online_request(line: Fields) -> Fields:
    """Return the ``EmbedContentRequest`` of a staged line, with its options as ``embedContentConfig``.

    Beside ``content`` they are deprecated (discovery document of aiplatform v1, revision 20261106).
    """
    own = cast("Mapping[str, Any]", line["request"])
    nested = [cast("Mapping[str, Any]", own[name]) for name in CONFIGS if isinstance(own.get(name), Mapping)]
    flat = {name: own[name] for name in (*OPTIONS, *_CAMEL.values()) if name in own}
    said = {_CAMEL.get(name, name): value for place in (flat, *nested) for name, value in place.items()}
    config = {name: value for name, value in said.items() if value is not None}
    return {"content": own["content"], **({"embedContentConfig": config} if config else {})}


def dimensions(_model: str, given: Parameters) -> int:
    """Return what is asked for; 3,072 when nothing is (Google's page on embeddings)."""
    return int(given.get("dimensions") or 3_072)


FAMILY = Family(
    name="gemini-embedding",
    example="gemini-embedding-001",
    accepts=accepts,
    request=request,
    requesting=requesting,
    reading=reading,
    rows_limit=1_000_000,  # rows a job (Google's page on batch embeddings, read 2026-11-21)
    input_limit_bytes=1_000_000_000,  # one input file (the same page)
    check=RULES,
    estimate=estimate,
    refusal=refusal,
    parameters=parameters,
    misfit=misfit,
    with_form=with_form,
    writes_text=False,
    dimensions=dimensions,
    online=OnlineWay(verb=Verb.EMBED, request=online_request),
)
