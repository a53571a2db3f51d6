"""Whom the rows of an online batch are sent to: a publisher's model, or the endpoint of one's own."""

from __future__ import annotations

from dataclasses import replace

from vertexq.errors import BadInput
from vertexq.families import family_for
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
    options = services.options
    target = Target(
        online=services.online,
        way=way,
        name="",
        parameters=way.parameters(submission.parameters),
        at_once=options.online_at_once,
        deadline_s=options.online_deadline_s,
    )
    if not way.by_endpoint:
        return replace(target, name=online_name(batch.project, batch.location, batch.model))
    name = await _endpoint(services, batch, submission.model)
    host = (await services.endpoints.get(name)).dedicated_dns
    return replace(target, name=name, dedicated_dns=host)


async def _endpoint(services: Services, batch: Batch, submitted: str) -> str:
    """Return the full name of the endpoint that was submitted, or of one that serves the model."""
    own = OwnName.parse(submitted)
    if own is not None and own.is_endpoint:
        return submitted
    for endpoint in await services.vertex.endpoints_of(batch.location, batch.model):
        return endpoint
    raise BadInput(
        f"{batch.model} is deployed to no endpoint, so its rows cannot be answered online; deploy it and "
        "enqueue the submission again under its id, or cancel it"
    )
