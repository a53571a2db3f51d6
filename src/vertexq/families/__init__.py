"""The model families: how a request becomes a line and a line becomes a row."""

from __future__ import annotations

from vertexq.errors import UnknownModel
from vertexq.families import gemini
from vertexq.families.base import Family

FAMILIES: tuple[Family, ...] = (gemini.FAMILY,)


def family_of(model: str) -> Family:
    """Return the family that takes ``model``; raise ``UnknownModel`` when none does."""
    for family in FAMILIES:
        if family.accepts(model):
            return family
    known = ", ".join(family.example for family in FAMILIES)
    raise UnknownModel(
        f"the model {model!r} belongs to no family that vertexq knows; write it as Google does, "
        f"for example {known}"
    )


__all__ = ["FAMILIES", "Family", "family_of"]
