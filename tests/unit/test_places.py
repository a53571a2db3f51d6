"""What Google allows in projects, locations and labels."""

from __future__ import annotations

import pytest

from vertexq import BadInput
from vertexq.places import check_labels, check_place


@pytest.mark.parametrize("project", ["", "my-project-123", "example.com:my-project", "123456789012"])
@pytest.mark.parametrize(
    "location", ["", "global", "us", "eu", "us-central1", "northamerica-northeast2", "europe-west12"]
)
def test_real_places_pass(project: str, location: str) -> None:
    """What Google's documents list is taken; nothing means the worker's own."""
    check_place(project, location)


@pytest.mark.parametrize("project", ["X Y", "My-Project", "a", "my_project", "p/../q"])
def test_what_cannot_be_a_project_is_refused(project: str) -> None:
    """Before anything is enqueued, and with an example."""
    with pytest.raises(BadInput, match="cannot be a Google Cloud project"):
        check_place(project, "")


@pytest.mark.parametrize("location", ["mars", "us_central", "US-CENTRAL1", "us-central1-a", "us-central1/x"])
def test_what_cannot_be_a_location_is_refused(location: str) -> None:
    """A slip would otherwise be found by a host name that does not exist."""
    with pytest.raises(BadInput, match="cannot be a location"):
        check_place("", location)


@pytest.mark.parametrize("labels", [{}, {"team": "search"}, {"größe": "groß"}, {"a-b_c9": ""}])
def test_labels_that_google_takes_pass(labels: dict[str, str]) -> None:
    """Lower-case letters of any language, digits, _ and -; a value may be empty."""
    check_labels(labels)


@pytest.mark.parametrize(
    "labels",
    [
        {"A": "b"},
        {"a": "B C"},
        {"9a": "b"},
        {"a": "x" * 64},
        {"": "a"},
        {"vertexq": "x"},
        {"a": 1},
        {f"k{number}": "" for number in range(64)},
    ],
)
def test_labels_that_would_fail_the_job_are_refused(labels: dict[str, str]) -> None:
    """One bad label fails the whole create, so it is named before."""
    with pytest.raises(BadInput, match="label"):
        check_labels(labels)
