"""A project's own models and endpoints as Google describes them, read into our values. No I/O.

Fields: the aiplatform v1 discovery document (revision 20261106), ``Model`` and ``Endpoint``.
"""

from __future__ import annotations

from dataclasses import dataclass

from vertexq.google.messages import inner, items, mapping, text

_BASE_LABEL = "google-vertex-llm-tuning-base-model-id"
"""What Google's own clients read a tuned model's base from (python-genai and js-genai, read 2026-11-21)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModel:
    """A model of a project. ``source_type`` says how it was made, in Google's word (``AUTOML``, ``GENIE``).

    ``base`` is the short name of the model that it was tuned from; empty when Google does not say.
    """

    name: str
    source_type: str
    base: str


def own_model_from(value: object) -> OwnModel:
    """Read a ``Model``."""
    said = mapping(value)
    source = inner(said, "baseModelSource")
    base = (
        text(inner(said, "labels"), _BASE_LABEL)
        or text(inner(source, "modelGardenSource"), "publicModelName")
        or text(inner(source, "genieSource"), "baseModelUri")
    )
    return OwnModel(
        name=text(said, "name"),
        source_type=text(inner(said, "modelSourceInfo"), "sourceType"),
        base=base.rpartition("/")[2].partition("@")[0],
    )


def deployed_models_from(value: object) -> tuple[str, ...]:
    """Read which models an ``Endpoint`` serves: each once, in Google's order, with its version when said."""
    deployed = (mapping(one) for one in items(mapping(value).get("deployedModels")))
    names = ((text(one, "model"), text(one, "modelVersionId")) for one in deployed)
    full = (f"{name}@{version}" if version and "@" not in name else name for name, version in names if name)
    return tuple(dict.fromkeys(full))


def endpoints_from(value: object) -> tuple[str, ...]:
    """Read to which endpoints a ``Model`` is deployed, by their full names, each once."""
    deployed = (mapping(one) for one in items(mapping(value).get("deployedModels")))
    return tuple(dict.fromkeys(name for one in deployed if (name := text(one, "endpoint"))))
