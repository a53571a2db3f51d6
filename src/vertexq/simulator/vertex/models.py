"""The models that the simulated Vertex AI knows, and of which kind each is. No I/O.

Publishers' models are told by their names: all that fit are there, unless they were retired. A project's own
models are there too: those that were added are what they were added as, any other is a tuned Gemini.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from vertexq.errors import BadInput, NotFound
from vertexq.simulator.kinds import kind_named
from vertexq.simulator.kinds.base import Kind

TUNED: Final = "tuned"
TUNED_FROM: Final = "gemini-2.5-flash"
"""What every simulated tuned model was made from."""

# what a publisher's names begin with, and the kind of such a model; the first that fits counts
_PUBLISHED = (
    ("google", "gemini-embedding-", "gemini-embedding"),
    ("google", "gemini-", "gemini"),
    ("google", "text-embedding-", "text-embedding"),
    ("google", "textembedding-gecko", "text-embedding"),
    ("google", "text-multilingual-embedding-", "text-embedding"),
    ("anthropic", "claude-", "claude"),
    ("meta", "llama-", "open-model"),
    ("openai", "gpt-oss-", "open-model"),
    ("qwen", "qwen", "open-model"),
    ("deepseek-ai", "deepseek-", "open-model"),
)
_OWN_KINDS = {TUNED: "gemini", "automl-image": "automl-image"}
_SOURCES = {TUNED: "GENIE", "automl-image": "AUTOML"}
_PUBLISHER_NAME = re.compile(
    r"(?:projects/[^/]+/locations/[^/]+/)?publishers/([^/]+)/models/([^/@]+)(?:@.*)?"
)
_OWN_NAME = re.compile(r"projects/[^/]+/locations/([^/]+)/models/([^/@]+)(?:@.*)?")
_NOWHERE = "does-not-exist"
_NOT_ON_GLOBAL = frozenset({"claude", "open-model"})  # Google's page on locations, read 2026-11-21


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A model of a project. ``location`` is where it is, empty: wherever it is asked for."""

    id: str
    kind: str = TUNED
    display_name: str = "a tuned model"
    location: str = ""

    @property
    def base(self) -> str:
        """Return the model that a tuned one was made from, for its label; an AutoML model has none."""
        return TUNED_FROM if self.kind == TUNED else ""

    @property
    def source_type(self) -> str:
        """Return ``modelSourceInfo.sourceType`` (discovery document of aiplatform v1, revision 20261106)."""
        return _SOURCES[self.kind]


class Models:
    """Which models there are; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retired: set[str] = set()
        self._places: dict[str, frozenset[str]] = {}
        self._own: dict[str, OwnModel] = {}

    def retire(self, *names: str) -> None:
        """Forget models: by their last word, as ``gemini-1.5-flash``."""
        with self._lock:
            self._retired.update(names)

    def only_in(self, name: str, *locations: str) -> None:
        """Take jobs for a model in these locations only; a look-up, which names none, still finds it."""
        with self._lock:
            self._places[name] = frozenset(locations)

    def add(
        self, model_id: str, *, kind: str = TUNED, display_name: str = "a tuned model", location: str = ""
    ) -> None:
        """Add a project's own model: of the kind ``tuned`` or ``automl-image``; raise ``BadInput``."""
        if kind not in _OWN_KINDS:
            raise BadInput(f"kind: {kind!r} is none; an own model is one of {', '.join(_OWN_KINDS)}")
        if not model_id:
            raise BadInput("model: the last word of the model's name is missing")
        with self._lock:
            self._own[model_id] = OwnModel(
                id=model_id, kind=kind, display_name=display_name, location=location
            )

    def clear(self) -> None:
        """Know every publisher's model again, and none that was added."""
        with self._lock:
            self._retired.clear()
            self._places.clear()
            self._own.clear()

    def own(self, name: str) -> OwnModel:
        """Return a project's own model by its full name, with a version or without; raise ``NotFound``."""
        self.check_own(name)
        model_id = name.rpartition("/")[2].partition("@")[0]
        with self._lock:
            return self._own.get(model_id, OwnModel(id=model_id))

    def kind_of(self, model: str) -> Kind:
        """Return what kind of model a job's model is; the output of one that was added bears its name."""
        published = _PUBLISHER_NAME.fullmatch(model)
        if published:
            return kind_named(_published_kind(published[1], published[2]))
        with self._lock:
            own = self._own.get(model.rpartition("/")[2].partition("@")[0])
        if own is None or own.kind == TUNED:
            return kind_named("gemini")
        return replace(kind_named(_OWN_KINDS[own.kind]), word=_saying(own.display_name))

    def check_published(self, publisher: str, model: str, location: str = "") -> None:
        """Raise ``NotFound`` for a publisher's model that is not there, or not in ``location``."""
        name = model.partition("@")[0]
        kind = _published_kind(publisher, name)
        with self._lock:
            there = name not in self._retired and location in {"", *self._places.get(name, {location})}
        if location == "global" and kind in _NOT_ON_GLOBAL:
            there = False
        if not there or _NOWHERE in name or not kind:
            raise NotFound(f"The PublisherModel {model} does not exist.", status=404, code="NOT_FOUND")

    def check_own(self, name: str) -> None:
        """Raise ``NotFound`` for a project's own model (a full name) that is not there."""
        word, found = name.rpartition("/")[2], _OWN_NAME.fullmatch(name)
        with self._lock:
            own = self._own.get(word.partition("@")[0])
            there = not {word, word.partition("@")[0]} & self._retired
        place = found[1] if found else ""
        if not there or _NOWHERE in name or (own and own.location not in {"", place}):
            raise NotFound(f"The Model {name} does not exist.", status=404, code="NOT_FOUND")


def _published_kind(publisher: str, name: str) -> str:
    """Return the name of a publisher's model's kind; empty when the publisher has no such model."""
    fits = (kind for of, start, kind in _PUBLISHED if of == publisher and name.startswith(start))
    return next(fits, "")


def _saying(word: str) -> Callable[[str], str]:
    def said(_model: str) -> str:
        return word

    return said
