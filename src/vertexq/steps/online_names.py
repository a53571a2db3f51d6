"""Whom the rows of an online batch are sent to: a publisher's model, or the endpoint of one's own."""

from __future__ import annotations

from vertexq.errors import BadInput
from vertexq.families import family_for
from vertexq.families.online import OnlineWay
from vertexq.families.own_models import OwnName
from vertexq.google.online import online_name
from vertexq.model import Batch
from vertexq.steps.online_calls import Target
from vertexq.steps.services import Services


async def target_of(services: Services, batch: Batch) -> Target:
    """Return whom the rows of a batch are sent to; raise ``BadInput`` when nobody can answer them."""
    way = family_for(batch).online
    if way is None:
        raise BadInput(f"models such as {batch.model} answer no online calls; cancel the submission")
    submission = services.ledger.submission(batch.submission_id)
    return Target(
        online=services.online,
        way=way,
        name=await _name(services, batch, way, submission.model),
        parameters=way.parameters(submission.parameters),
        at_once=services.options.online_at_once,
        deadline_s=services.options.online_deadline_s,
    )


async def _name(services: Services, batch: Batch, way: OnlineWay, submitted: str) -> str:
    """Return the full name; the endpoint that was submitted, or one that serves the model."""
    if not way.by_endpoint:
        return online_name(batch.project, batch.location, batch.model)
    own = OwnName.parse(submitted)
    if own is not None and own.is_endpoint:
        return submitted
    for endpoint in await services.vertex.endpoints_of(batch.location, batch.model):
        return endpoint
    raise BadInput(
        f"{batch.model} is deployed to no endpoint, so its rows cannot be answered online; deploy it and "
        "enqueue the submission again under its id, or cancel it"
    )
