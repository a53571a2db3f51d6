"""The model that a submission's jobs name: looked up while it is staged, before anything is uploaded.

A publisher's model is what it was given as. A project's own model is asked for once: of which kind it is,
and from what it was tuned; an endpoint is resolved to the model that is deployed to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from vertexq.errors import BadInput, NotFound, Refused
from vertexq.families import family_for, family_made_as
from vertexq.families.own_models import OwnName, of_another_project
from vertexq.google.own_models import OwnModel
from vertexq.model import Submission
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedModel:
    """The model of the jobs, and the one whose price holds when it has none of its own."""

    name: str
    priced_as: str = ""


async def staged_model(services: Services, submission: Submission) -> StagedModel:
    """Return the model that a submission's jobs name; raise ``BadInput`` when they cannot run.

    What an earlier try has staged decides: an endpoint may have got another model since.
    """
    options = services.options
    check_place(submission, submission.location or options.location)
    own = OwnName.parse(submission.model)
    if own is None:
        return StagedModel(name=submission.model)
    if why := of_another_project(submission.model, submission.project or options.project):
        raise BadInput(f"{why}; nothing was sent")
    for batch in services.ledger.batches(submission.id):
        return StagedModel(name=batch.model, priced_as=batch.priced_as)
    name = await _deployed(services, own, submission.model) if own.is_endpoint else submission.model
    return await _looked_up(services, replace(submission, model=name))


def check_place(submission: Submission, location: str) -> None:
    """Raise ``BadInput`` when jobs of the submission's model cannot run in a location."""
    if why := family_for(submission).refusal(submission.model, location):
        raise BadInput(f"{why}; nothing was sent")


async def _deployed(services: Services, own: OwnName, endpoint: str) -> str:
    """Return the one model that is deployed to an endpoint."""
    models = await services.vertex.deployed_models(own.location, endpoint)
    if len(models) == 1:
        return models[0]
    if not models:
        raise BadInput(
            f"no model is deployed to the endpoint {own.id}; deploy one, or name the model itself "
            f"(projects/{own.project}/locations/{own.location}/models/ID); nothing was sent"
        )
    raise BadInput(
        f"{len(models)} different models are deployed to the endpoint {own.id} and a job runs one; name it "
        f"instead of the endpoint: {', '.join(models)}; nothing was sent"
    )


async def _looked_up(services: Services, submission: Submission) -> StagedModel:
    """Ask what kind of model it is; of one that may not be seen nothing is known."""
    own = OwnName.parse(submission.model)
    place = own.location if own else ""
    try:
        model = await services.vertex.own_model(place, submission.model)
    except (NotFound, Refused) as error:
        log.info("model_unseen", submission=submission.id, error=type(error).__name__)
        return StagedModel(name=submission.model)
    if why := _another_kind(model, family_for(submission).name):
        raise BadInput(f"{why}; nothing was sent")
    return StagedModel(name=submission.model, priced_as=model.base)


def _another_kind(model: OwnModel, family: str) -> str:
    """Say that Google made a model otherwise than models of a family are; "" when it does not say so."""
    wanted = family_made_as(model.source_type)
    if wanted is None or wanted.made is None or wanted.name == family:
        return ""
    return (
        f"{model.name} is {wanted.made.said} and was submitted as {family}; submit it again with the family "
        f"{wanted.name} (--family {wanted.name})"
    )
