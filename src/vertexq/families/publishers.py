"""Publishers' models: their names, in each way that Google takes, and where their jobs run. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from vertexq.places import REGIONLESS

_NAME = re.compile(
    r"(?:projects/[\w.:-]+/locations/(?P<location>[\w-]+)/)?"
    r"(?:publishers/(?P<long>[\w.-]+)/models/|(?P<short>[\w.-]+)/)(?P<name>[\w.-]+)(?:@[\w.-]+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedName:
    """The parts of ``publishers/P/models/M``, of the same below a project and a location, or of ``P/M``.

    ``name`` is without its ``@version``; ``location`` is empty where none was written.
    """

    publisher: str
    name: str
    location: str = ""

    @classmethod
    def parse(cls, model: str) -> Self | None:
        """Read a name; None for anything else."""
        found = _NAME.fullmatch(model)
        if found is None or (found["location"] and found["short"]):
            return None
        publisher = found["long"] or found["short"]
        return cls(publisher=publisher, name=found["name"], location=found["location"] or "")


def google_name(model: str) -> str:
    """Return the short name of a model that Google publishes, written so or as a path; "" for others."""
    name = model.rpartition("/")[2]
    path = model.removesuffix(name)
    return name if not path or path.endswith("publishers/google/models/") else ""


def in_a_region_only(what: str, model: str, location: str) -> str:
    """Say why jobs of a partner's or an open model cannot run in a location; "" when they can.

    They run in regions, not on global (Google's page on locations, read 2026-11-21).
    """
    if location in REGIONLESS:
        return f"{what} have no batch jobs on {location}; give a region that has the model, such as us-east5"
    named = PublishedName.parse(model)
    if named and named.location and location and named.location != location:
        return (
            f"the model's name says {named.location} and its jobs would run in {location}; write the name "
            "without a location, or give that one"
        )
    return ""
