"""What Google allows in projects, locations and labels, so that a slip is found before anything is enqueued.

Labels and the forms of locations: aiplatform v1 discovery document, revision 20261106; projects: Resource
Manager's rules for project ids. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vertexq.errors import BadInput

OUR_LABEL = "vertexq"
REGIONLESS = frozenset({"global", "us", "eu"})
"""Locations that are no region: nothing that must be in the region of its jobs can be there."""
LABELS_LIMIT = 63  # Google takes 64 and one of them is ours

_PROJECT = re.compile(r"(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{2,28}[a-z0-9]|[0-9]{4,19}")
_LOCATION = re.compile(r"global|us|eu|[a-z]+-[a-z]+[0-9]{1,2}")
_RULE = "up to 63 lower-case letters, digits, _ and -"
_LABEL = re.compile(r"[\w-]{0,63}")  # international letters are allowed, upper case is not


def check_place(project: str, location: str) -> None:
    """Raise ``BadInput`` unless both can be Google's; empty means the worker's own."""
    if project and not _PROJECT.fullmatch(project):
        raise BadInput(f"{project!r} cannot be a Google Cloud project; pass its id, such as my-project-123")
    if location and not _LOCATION.fullmatch(location):
        raise BadInput(
            f"{location!r} cannot be a location; pass a region such as us-central1, or global, us, eu"
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise ``BadInput`` unless Google takes the labels; one would fail the whole job when it is created."""
    if len(labels) > LABELS_LIMIT:
        raise BadInput(
            f"{len(labels)} labels are too many; Google takes {LABELS_LIMIT} beside the one of vertexq"
        )
    for key, value in labels.items():
        if key == OUR_LABEL:
            raise BadInput(f"the label {OUR_LABEL!r} is how vertexq finds its jobs again; use another name")
        if not _is_label(key) or not key[:1].isalpha():
            raise BadInput(
                f"{key!r} cannot be a label: up to 63 lower-case letters, digits, _ and -, a letter first"
            )
        if not _is_label(value):
            raise BadInput(f"the label {key!r} cannot have the value {value!r}: {_RULE}")


def _is_label(text: object) -> bool:
    return isinstance(text, str) and text == text.lower() and _LABEL.fullmatch(text) is not None
