"""Enqueue: take over a submission that a producer sent through the broker because it has no ledger."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from vertexq.errors import BadInput
from vertexq.messages import from_message
from vertexq.names import TaskName
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)


async def enqueue(services: Services, message: Mapping[str, object]) -> None:
    """Write the submission into the ledger; a message delivered twice is one submission."""
    try:
        submission, _ = services.ledger.enqueue(from_message(message))
    except BadInput as error:
        log.warning("submission_refused", id=str(message.get("id", ""))[:63], reason=str(error))
        return
    services.hints.send(TaskName.STAGE, submission.id)
