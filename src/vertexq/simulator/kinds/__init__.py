"""The kinds of models that the simulated Vertex AI has."""

from __future__ import annotations

from vertexq.simulator.kinds import (
    automl_image,
    claude,
    gemini,
    gemini_embedding,
    open_model,
    text_embedding,
)
from vertexq.simulator.kinds.base import Kind

KINDS: tuple[Kind, ...] = (
    gemini.KIND,
    automl_image.KIND,
    text_embedding.KIND,
    gemini_embedding.KIND,
    claude.KIND,
    open_model.KIND,
)


def kind_named(name: str) -> Kind:
    """Return a kind by its name; raise ``KeyError`` for one that there is not."""
    return {kind.name: kind for kind in KINDS}[name]
