"""What text embedding models take in a request and as parameters, beyond the rules of the import. No I/O.

Task types and titles are those of Google's pages on embeddings, and of ``EmbedContentConfig`` in the
discovery document of aiplatform v1 (revision 20261106). Gemini's embedding models know the same ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import orjson

from vertexq.check.base import FieldRules, Weight
from vertexq.check.faults import Flaw, Rule
from vertexq.check.plain_text import MARK
from vertexq.check.rows import BYTES_PER_TOKEN
from vertexq.errors import BadInput
from vertexq.plain import one_line

DOCUMENT: Final = "RETRIEVAL_DOCUMENT"
TASK_TYPES: Final = (
    "RETRIEVAL_QUERY",
    DOCUMENT,
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
)
_TASK_NAMES = ("task_type", "taskType")
NO_TEXT = "the text to embed must be a text that is not empty"
_NO_TASK = "this is no task type that the models know"
_NO_TITLE = f"a title is for documents: it needs the task type {DOCUMENT} beside it"
_KNOWN = f"write one of {', '.join(TASK_TYPES)}, or leave it out"


def check(name: str, value: object) -> Iterator[Flaw]:
    """Yield what is wrong with a field of a request."""
    if name == "content" and not is_text(value):
        yield Flaw(Rule.REQUEST, "content", NO_TEXT, 'write {"content": "…"}')
    else:
        yield from option_flaws(name, value, name)


def check_names(names: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with the names of a request's fields together."""
    if "content" not in names:
        yield Flaw(Rule.REQUEST, "content", NO_TEXT, 'write {"content": "…"}')


def check_others(fields: Mapping[str, bytes]) -> Iterator[Flaw]:
    """Yield what is wrong with the fields beside ``content`` together, each given as JSON."""
    yield from title_flaws({name: _value(text) for name, text in fields.items()}, "title")


def option_flaws(name: str, value: object, path: str) -> Iterator[Flaw]:
    """Yield what is wrong with a task type or a title; nothing for other names."""
    if value is None:
        return
    if name in _TASK_NAMES and value not in TASK_TYPES:
        yield Flaw(Rule.UNSUPPORTED, path, _NO_TASK, _KNOWN)
    elif name == "title" and not is_text(value):
        yield Flaw(Rule.UNSUPPORTED, path, "a title must be a text that is not empty", "leave it out")


def title_flaws(options: Mapping[str, Any], path: str) -> Iterator[Flaw]:
    """Yield a flaw when there is a title without the task type that it is for."""
    if options.get("title") is not None and task_of(options) != DOCUMENT:
        yield Flaw(Rule.UNSUPPORTED, path, _NO_TITLE, "add it, or leave the title out")


def task_of(options: Mapping[str, Any]) -> object:
    """Return the task type, however it is spelled; None when there is none."""
    return next((options[name] for name in _TASK_NAMES if options.get(name) is not None), None)


def is_text(value: object) -> bool:
    """Tell whether a value is a text with more than blanks in it."""
    return isinstance(value, str) and bool(value.strip())


def weigh(name: str, value: object) -> Weight:
    """Return what a field weighs: its text."""
    if name in ("content", "title") and isinstance(value, str):
        return Weight(text_bytes=len(value.encode()))
    return Weight()


def estimate(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return (input tokens, 0) of a request: four bytes are a token, and nothing is written."""
    text_bytes = sum(weigh(name, value).text_bytes for name, value in request.items())
    return -(-text_bytes // BYTES_PER_TOKEN), 0


def checked_parameters(given: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """Return parameters; raise ``BadInput`` for one not ``known``, a bad ``task_type`` or ``title``."""
    if unknown := sorted(given.keys() - set(known)):
        names = ", ".join(one_line(name[:60]) for name in unknown)
        raise BadInput(f"an embedding model has no parameter {names}; known here: {', '.join(known)}")
    task, title = given.get("task_type"), given.get("title")
    if task is not None and task not in TASK_TYPES:
        raise BadInput(f"task_type: {_NO_TASK}; {_KNOWN}")
    if title is not None and not is_text(title):
        raise BadInput("title: write a text that is not empty (a number in quotes), or leave it out")
    if title is not None and task not in (None, DOCUMENT):
        raise BadInput(f"title: {_NO_TITLE}")
    return given


def _value(text: bytes) -> object:
    """Return what a field holds; its own check has said so already when it cannot be read."""
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    return found


RULES = FieldRules(
    varying="content",
    plain=(MARK,),
    check=check,
    check_names=check_names,
    check_others=check_others,
    weigh=weigh,
    text_field="content",
    needs_text=True,
)
