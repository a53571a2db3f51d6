"""The models that the simulated Vertex AI knows: all with a fitting name, unless it was retired. No I/O."""

from __future__ import annotations

import threading

from vertexq.errors import NotFound
from vertexq.simulator.kinds import kind_named
from vertexq.simulator.kinds.base import Kind

_STARTS = {
    "google": ("gemini-", "text-embedding-", "textembedding-gecko", "text-multilingual-embedding-"),
    "anthropic": ("claude-",),
    "meta": ("llama-",),
    "openai": ("gpt-oss-",),
}
_NOWHERE = "does-not-exist"


class Models:
    """Which models there are; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retired: set[str] = set()
        self._places: dict[str, frozenset[str]] = {}

    def retire(self, *names: str) -> None:
        """Forget models: by their last word, as ``gemini-1.5-flash``."""
        with self._lock:
            self._retired.update(names)

    def only_in(self, name: str, *locations: str) -> None:
        """Take jobs for a model in these locations only; a look-up, which names none, still finds it."""
        with self._lock:
            self._places[name] = frozenset(locations)

    def clear(self) -> None:
        """Know every model again."""
        with self._lock:
            self._retired.clear()
            self._places.clear()

    def kind_of(self, model: str) -> Kind:
        """Return what kind of model a job's model is."""
        del model
        return kind_named("gemini")

    def check_published(self, publisher: str, model: str, location: str = "") -> None:
        """Raise ``NotFound`` for a publisher's model that is not there, or not in ``location``."""
        name = model.partition("@")[0]
        with self._lock:
            there = name not in self._retired and location in {"", *self._places.get(name, {location})}
        if not there or _NOWHERE in name or not name.startswith(_STARTS.get(publisher, ("\0",))):
            raise NotFound(f"The PublisherModel {model} does not exist.", status=404, code="NOT_FOUND")

    def check_own(self, name: str) -> None:
        """Raise ``NotFound`` for a project's own model (a full name) that is not there."""
        with self._lock:
            there = name.rpartition("/")[2] not in self._retired
        if not there or _NOWHERE in name:
            raise NotFound(f"The Model {name} does not exist.", status=404, code="NOT_FOUND")
