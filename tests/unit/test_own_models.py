"""A project's own models: what their names say, and where their jobs may run."""

from __future__ import annotations

import pytest

from vertexq.errors import BadInput
from vertexq.families import family_of, gemini_tuned, own_models
from vertexq.orders import Order

MODEL = "projects/demo/locations/us-central1/models/17@2"


@pytest.mark.parametrize(
    "name",
    [
        MODEL,
        "projects/demo/locations/europe-west4/models/17",
        "projects/1234/locations/us-central1/endpoints/99",
    ],
)
def test_names_of_own_models_and_endpoints_are_tuned_gemini(name: str) -> None:
    """What a project's own model is does not show in its name; tuned Gemini is what most mean."""
    assert family_of(name).name == "gemini-tuned"


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.5-flash",
        "projects/demo/locations/us-central1/publishers/google/models/gemini-2.5-flash",
        "projects/demo/locations/us-central1/endpoints/99@2",
        "projects/demo/models/17",
    ],
)
def test_other_names_are_not(name: str) -> None:
    """A publisher's model has a publisher in its name, and an endpoint has no version."""
    assert not own_models.is_own(name)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("us-central1", ""),
        ("global", "no batch jobs on global"),
        ("europe-west4", "give the location us-central1"),
    ],
)
def test_jobs_of_a_tuned_model_run_where_it_is(location: str, said: str) -> None:
    """Never on global, and in no other region than the model's."""
    why = gemini_tuned.FAMILY.refusal(MODEL, location)

    assert said in why
    assert bool(said) == bool(why)


def test_an_order_for_another_place_is_refused_before_anything_is_enqueued() -> None:
    """The producer gets the sentence at once when the location is given with the rows."""
    with pytest.raises(BadInput, match="no batch jobs on global"):
        Order(id=None, model=MODEL, store="results", location="global").checked()


def test_an_order_for_another_project_is_refused_before_anything_is_enqueued() -> None:
    """In whatever place."""
    with pytest.raises(BadInput, match="is of the project demo"):
        Order(id=None, model=MODEL, store="results", project="other-one").checked()


def test_a_model_that_is_said_to_be_on_global_is_not_sent_there() -> None:
    """No location would help, so that the name is what must change."""
    why = gemini_tuned.FAMILY.refusal("projects/demo/locations/global/models/17", "us-central1")

    assert "write it with the region that the model is in" in why


@pytest.mark.parametrize(
    ("project", "said"),
    [("demo", ""), ("", ""), ("1234", ""), ("other-one", "is of the project demo")],
)
def test_a_model_of_another_project_is_told_by_ids_of_one_kind(project: str, said: str) -> None:
    """A number cannot be compared with an id, so that it is let pass."""
    assert said in own_models.of_another_project(MODEL, project)
    assert bool(said) == bool(own_models.of_another_project(MODEL, project))
