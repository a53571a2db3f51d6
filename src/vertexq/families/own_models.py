"""A project's own models and endpoints: what their names say about where jobs of them can run. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_NAME = re.compile(
    r"projects/(?P<project>[\w.:-]+)/locations/(?P<location>[\w-]+)/"
    r"(?P<kind>models|endpoints)/(?P<id>[\w-]+)(?:@(?P<version>[\w.-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnName:
    """The parts of ``projects/P/locations/L/models/ID[@v]``, or of an endpoint's name (no version)."""

    project: str
    location: str
    is_endpoint: bool
    id: str
    version: str = ""

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a full name; None for anything else."""
        found = _NAME.fullmatch(name)
        if found is None or (found["kind"] == "endpoints" and found["version"]):
            return None
        return cls(
            project=found["project"],
            location=found["location"],
            is_endpoint=found["kind"] == "endpoints",
            id=found["id"],
            version=found["version"] or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How models of a family were made.

    ``source_type`` is Google's word for it, ``modelSourceInfo.sourceType`` (discovery document of aiplatform
    v1, revision 20261106), ``said`` what a person calls such a model.
    """

    source_type: str
    said: str


def is_own(name: str) -> bool:
    """Tell whether a model is a project's own, or an endpoint of one."""
    return OwnName.parse(name) is not None


def elsewhere(model: str, location: str) -> str:
    """Say why jobs of a project's own model cannot run in a location; "" when they can.

    A job and its model have the same location (``BatchPredictionJob.model``, discovery document of
    aiplatform v1, revision 20261106).
    """
    own = OwnName.parse(model)
    if own is None or not location or own.location == location:
        return ""
    return (
        f"the model {own.id} is in {own.location} and its jobs would run in {location}; Google runs them "
        f"where the model is: give the location {own.location}, and stage in a bucket of that region"
    )


def in_its_region_only(made: Made, model: str, location: str) -> str:
    """Say why jobs of a project's own model cannot run in a location, of which global is none; "" otherwise.

    Google's page on locations says "not supported on global" (read 2026-11-21).
    """
    if location == "global":
        return (
            f"{made.said} has no batch jobs on global; give the region that the model is in, and stage in a "
            "bucket there"
        )
    own = OwnName.parse(model)
    if own is not None and own.location == "global":
        return (
            f"the name of the model {own.id} says global, where {made.said} has no batch jobs; write it with "
            "the region that the model is in"
        )
    return elsewhere(model, location)


def of_another_project(model: str, project: str) -> str:
    """Say that a model belongs to another project than its jobs would; "" when it does not, or may not.

    One of the two may be a number and the other one an id, which nobody can compare.
    """
    own = OwnName.parse(model)
    if own is None or not project or own.project == project or own.project.isdigit() != project.isdigit():
        return ""
    return (
        f"the model {own.id} is of the project {own.project} and its jobs would run in {project}; Google "
        f"runs them in the model's project: give the project {own.project}"
    )
