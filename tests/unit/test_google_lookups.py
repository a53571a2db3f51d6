"""Names under which models are looked up, and what Google says about buckets, read into values."""

from __future__ import annotations

import pytest

from vertexq.errors import BadInput
from vertexq.google.messages import BucketInfo, bucket_from, lookup_names, members_from

OWN = "projects/my-project/locations/us-central1"


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("gemini-2.5-flash", ["publishers/google/models/gemini-2.5-flash"]),
        (
            "gemini-2.0-flash-001",
            ["publishers/google/models/gemini-2.0-flash-001", "publishers/google/models/gemini-2.0-flash"],
        ),
        (f"{OWN}/publishers/google/models/gemini-2.5-pro", ["publishers/google/models/gemini-2.5-pro"]),
        ("anthropic/claude-x@20250929", ["publishers/anthropic/models/claude-x"]),
        (f"{OWN}/models/123@golden", [f"{OWN}/models/123@golden"]),
    ],
)
def test_a_model_is_looked_up_without_project_and_version(model: str, names: list[str]) -> None:
    """A publisher's at its publisher, also without a version; a project's own as it is written."""
    assert lookup_names(model) == names


@pytest.mark.parametrize("model", ["gemini-2.5 flash", "gemini-x?key=1", "gemini-x#", "a/b/c/d", ""])
def test_what_can_be_no_name_is_bad_input(model: str) -> None:
    """It would become another URL."""
    with pytest.raises(BadInput, match="cannot be the name of a model"):
        lookup_names(model)


def test_a_bucket_is_read_whole() -> None:
    """As the storage v1 discovery document (revision 20261009) has it, int64s as texts."""
    said = {
        "location": "US",
        "locationType": "dual-region",
        "customPlacementConfig": {"dataLocations": ["US-EAST4", "US-WEST1"]},
        "projectNumber": "123456789012",
        "softDeletePolicy": {"retentionDurationSeconds": "604800"},
        "colour": "red",
    }

    assert bucket_from(said) == BucketInfo(
        location="US",
        location_type="dual-region",
        regions=("US-EAST4", "US-WEST1"),
        project_number="123456789012",
        soft_delete_s=604_800,
    )


@pytest.mark.parametrize("value", [{}, [], None, {"location": 3, "projectNumber": "x"}])
def test_a_bucket_that_says_nothing_is_known_by_nothing(value: object) -> None:
    """What is missing is unknown, not wrong."""
    assert bucket_from(value) == BucketInfo(location="")


def test_the_members_of_a_policy_are_those_of_all_its_bindings() -> None:
    """Whatever the role; conditions and unknown fields do not matter."""
    bindings = [
        {"role": "r", "members": ["user:a", "allUsers"], "condition": {"expression": "x"}},
        {"role": "s", "members": ["user:b"]},
        {"role": "t"},
        "odd",
    ]

    assert members_from({"bindings": bindings}) == {"user:a", "user:b", "allUsers"}
    assert members_from({}) == set()
