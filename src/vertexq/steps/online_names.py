"""Whom the rows of an online batch are sent to: a publisher's model, or the endpoint of one's own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from vertexq.endpoints import DeployedModel, Endpoint
from vertexq.errors import BadInput, NotFound
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
    endpoint = await _endpoint(services, batch, submission.model)
    return replace(target, name=endpoint.name, dedicated_dns=endpoint.dedicated_dns)


async def _endpoint(services: Services, batch: Batch, submitted: str) -> Endpoint:
    """Return the endpoint that was submitted, or another one, that serves the model and nothing else."""
    own = OwnName.parse(submitted)
    names = [submitted] if own is not None and own.is_endpoint else []
    names += await services.vertex.endpoints_of(batch.location, batch.model)
    for name in dict.fromkeys(names):
        with suppress(NotFound):
            endpoint = await services.endpoints.get(name)
            if serves_only(endpoint, batch.model):
                return endpoint
    there = f"requests to {', '.join(names)} may go to other models" if names else "it is deployed to none"
    raise BadInput(
        f"no endpoint serves {batch.model} alone, so its rows cannot be answered online ({there}); deploy it "
        "to one of its own and enqueue the submission again under its id, or cancel it"
    )


def serves_only(endpoint: Endpoint, model: str) -> bool:
    """Tell whether all requests to an endpoint go to a model; versions count where both are numbers.

    A name may hold the project's id or its number, so only what follows the project is compared.
    """
    asked = [one for one in endpoint.deployed if endpoint.traffic.get(one.id)] or endpoint.deployed
    wanted = OwnName.parse(model)
    return bool(asked) and wanted is not None and all(_is(one, wanted) for one in asked)


def _is(deployed: DeployedModel, wanted: OwnName) -> bool:
    found = OwnName.parse(deployed.model)
    if found is None or (found.location, found.id) != (wanted.location, wanted.id):
        return False
    version = found.version or deployed.model_version
    comparable = version.isdigit() and wanted.version.isdigit()
    return not comparable or version == wanted.version
