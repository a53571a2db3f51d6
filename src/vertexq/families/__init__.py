"""The model families: how a request becomes a line and a line becomes a row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

from vertexq.errors import BadInput, UnknownModel
from vertexq.families import (
    automl_image,
    claude,
    gemini,
    gemini_embedding,
    gemini_tuned,
    open_model,
    text_embedding,
)
from vertexq.families.base import Family

FAMILIES: tuple[Family, ...] = (
    gemini.FAMILY,
    gemini_tuned.FAMILY,
    automl_image.FAMILY,
    text_embedding.FAMILY,
    gemini_embedding.FAMILY,
    claude.FAMILY,
    open_model.FAMILY,
)
FAMILY_JOBS: Mapping[str, int] = MappingProxyType(
    {family.name: family.slots for family in FAMILIES if family.slots is not None}
)
"""Families of which Google runs no more than so many jobs at once in a project."""


class OfFamily(Protocol):
    """A submission or a batch: it has a model, and names its family, unless it is an old one."""

    @property
    def model(self) -> str:
        """The model, as Google writes it."""
        ...

    @property
    def family(self) -> str:
        """The family's name; empty where it was not kept."""
        ...


def family_of(model: str, name: str = "") -> Family:
    """Return the family ``name``, or without a name the one that takes ``model``.

    Raise ``BadInput`` for a name that there is not, ``UnknownModel`` when no family takes the model.
    """
    if name or (name := named_by(model)):
        return family_named(name)
    known = ", ".join(family.example for family in FAMILIES)
    raise UnknownModel(
        f"the model {model!r} belongs to no family that vertexq knows; write it as Google does, "
        f"for example {known}"
    )


def family_taking(model: str, name: str, parameters: Mapping[str, Any]) -> Family:
    """Return the family of a model and of parameters for all rows.

    Raise ``BadInput`` when the model is none of the family that is named, or takes no such parameters.
    """
    family = family_of(model, name)
    if not family.may_be(model):
        raise BadInput(
            f"the model {model!r} is not one of the family {family.name}, which takes models like "
            f"{family.example}; nothing was sent"
        )
    family.parameters(parameters)
    if why := family.misfit(model, parameters):
        raise BadInput(f"{why}; nothing was sent")
    return family


def named_by(model: str) -> str:
    """Return the name of the family that takes a model by its name alone; empty when none does."""
    return next((family.name for family in FAMILIES if family.accepts(model)), "")


def family_made_as(source_type: str) -> Family | None:
    """Return the family of models that Google says were made so; None for a word that decides nothing."""
    return next((one for one in FAMILIES if one.made and one.made.source_type == source_type), None)


def family_named(name: str) -> Family:
    """Return a family by its name; raise ``BadInput`` for one that there is not."""
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise BadInput(f"{name[:80]!r} is no family of models; there are {known}")


def family_for(record: OfFamily) -> Family:
    """Return the family of a submission or of a batch."""
    return family_of(record.model, record.family)


__all__ = [
    "FAMILIES",
    "FAMILY_JOBS",
    "Family",
    "family_for",
    "family_made_as",
    "family_named",
    "family_of",
    "family_taking",
    "named_by",
]
