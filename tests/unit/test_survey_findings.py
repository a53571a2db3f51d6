"""What is made of what Google said about a bucket."""

from __future__ import annotations

import pytest

from vertexq.google.messages import BucketInfo
from vertexq.model import GcsUri
from vertexq.steps.survey import DELETE, GET, Weight, agent_finding, region_finding, rights_finding

PLACE = GcsUri(bucket="b", name="staging")
AGENT = "serviceAccount:service-123@gcp-sa-aiplatform.iam.gserviceaccount.com"


def test_soft_delete_is_told_where_the_region_is_fine() -> None:
    """It costs money and fails nothing."""
    info = BucketInfo(location="US-CENTRAL1", soft_delete_s=604_800)

    found = region_finding(info, "b", "us-central1", strict=True)

    assert found.weight is Weight.FINE
    assert found.text.endswith("keeps deleted objects for 7 days, which is billed: turn its soft delete off")


def test_a_bucket_whose_place_is_not_said_is_unknown() -> None:
    """However strict the model."""
    assert region_finding(BucketInfo(location=""), "b", "us-east4", strict=True).weight is Weight.UNKNOWN


@pytest.mark.parametrize(
    ("members", "project_number", "weight"),
    [
        ({AGENT}, "", Weight.FINE),
        ({"allUsers"}, "999", Weight.FINE),
        (set[str](), "123", Weight.UNKNOWN),  # its role in its own project is not in the bucket's policy
        ({AGENT.replace("123", "124")}, "999", Weight.WARNING),
        (set[str](), "", Weight.WARNING),
    ],
)
def test_a_service_agent_needs_a_binding_in_buckets_of_others(
    members: set[str], project_number: str, weight: Weight
) -> None:
    """In its own project it has rights that no policy of a bucket names."""
    info = BucketInfo(location="US", project_number=project_number)

    assert agent_finding(members, info, "b", "123").weight is weight


@pytest.mark.parametrize(
    ("missing", "certain", "weight"),
    [
        ([], [], Weight.FINE),
        ([GET], [], Weight.FINE),  # granted at the place, by a condition
        ([DELETE], [], Weight.WARNING),
        ([DELETE, GET], [GET], Weight.ERROR),
    ],
)
def test_only_rights_that_are_missing_for_certain_are_an_error(
    missing: list[str], certain: list[str], weight: Weight
) -> None:
    """What only tidies up is a warning."""
    assert rights_finding("staging", PLACE, missing, certain, role="objectAdmin").weight is weight
