"""The stores of a submission, looked at before anything is uploaded or paid for."""

from __future__ import annotations

from vertexq.errors import BadInput
from vertexq.families import family_for
from vertexq.model import Submission
from vertexq.steps.services import Services


async def check_stores(services: Services, submission: Submission) -> None:
    """Open every store; raise ``BadInput`` when one holds vectors of another length than will come.

    A model says how long its vectors are, under the submission's parameters. Raise as opening a store does.
    """
    coming = family_for(submission).dimensions(submission.model, submission.parameters)
    for name in submission.stores:
        await services.stores.call(name, lambda store: store.location(submission.id))
        held = services.stores.dimensions(name)
        if coming and held and coming != held:
            raise BadInput(
                f"the store {name} holds vectors of {held:,} numbers (vector= in its URL) and "
                f"{submission.model} makes them of {coming:,}, so that no row would land; ask for as many "
                f"(the parameter dimensions={held}) where the model takes it, or name another store; nothing "
                "was sent"
            )
