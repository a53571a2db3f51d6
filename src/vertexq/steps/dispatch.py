"""Dispatch: hand free slots to the batches whose turn it is. Any number of dispatchers do no harm."""

from __future__ import annotations

import structlog

from vertexq.families import FAMILY_JOBS
from vertexq.ledger import Bounds
from vertexq.names import TaskName
from vertexq.steps.services import Options, Services

log = structlog.get_logger(__name__)


async def dispatch(services: Services, project: str, location: str) -> None:
    """Send a create hint for as many waiting batches of a place as there are free slots, in fair order.

    Cheap when no slot is free. A hint that is lost comes again with the sweeper.
    """
    options = services.options
    chosen = services.ledger.hand_out(
        project, location, bounds=in_flight_bounds(options), shares=options.tenant_shares
    )
    for batch_id in chosen:
        services.hints.send(TaskName.CREATE, batch_id)
    if chosen:
        log.info("dispatched", project=project, location=location, batches=len(chosen))


def in_flight_bounds(options: Options) -> Bounds:
    """Return what may be in flight of one family in one place."""
    return Bounds(
        jobs=options.running_jobs,
        rows=options.rows_in_flight,
        tokens=options.tokens_in_flight,
        family_jobs=FAMILY_JOBS,
    )
