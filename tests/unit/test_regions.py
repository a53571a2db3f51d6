"""Which buckets are where jobs run."""

from __future__ import annotations

import pytest

from vertexq.google.messages import BucketInfo
from vertexq.steps.regions import holds


@pytest.mark.parametrize(
    ("place", "location", "held"),
    [
        ("US-CENTRAL1", "us-central1", True),
        ("US-CENTRAL1", "us-east4", False),
        ("US", "us-central1", True),
        ("US", "us", True),
        ("US-EAST4", "us", True),
        ("US", "europe-west4", False),
        ("EU", "europe-west4", True),
        ("EU", "europe-west2", False),  # London
        ("EU", "europe-west6", False),  # Zurich
        ("EUROPE-WEST4", "eu", True),
        ("ASIA", "asia-east1", True),
        ("ASIA", "us-central1", False),
        ("NAM4", "us-east1", True),
        ("NAM4", "us-east4", False),
        ("EUR4", "eu", True),
        ("ASIA1", "asia-northeast1", True),
        ("AUSTRALIA-SOUTHEAST1", "global", True),
        ("", "us-central1", None),
        ("", "global", True),
    ],
)
def test_a_bucket_holds_the_locations_it_is_in(place: str, location: str, held: bool | None) -> None:  # noqa: FBT001
    """The region itself, and multi-regions and dual-regions that it belongs to."""
    assert holds(BucketInfo(location=place), location) is held


@pytest.mark.parametrize(("location", "held"), [("us-east4", True), ("us-central1", False), ("us", True)])
def test_a_dual_region_that_its_owner_put_together_holds_its_two_regions(
    location: str,
    held: bool,  # noqa: FBT001
) -> None:
    """Google calls it ``US``, and only two regions of it hold the data."""
    bucket = BucketInfo(location="US", location_type="dual-region", regions=("US-EAST4", "US-WEST1"))

    assert holds(bucket, location) is held
