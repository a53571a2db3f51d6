"""Notify: have what the ledger's outbox holds for a producer sent at once, not with the next sweep."""

from __future__ import annotations

from vertexq.model import Submission
from vertexq.names import TaskName
from vertexq.recipients import recipient_of
from vertexq.steps.services import Services


def announce(services: Services, submission: Submission) -> None:
    """Send the hint that delivers the event of a submission's end.

    The event itself was written in the transaction that moved the submission (``ledger.announcements``), so
    nothing is lost when this never happens: the sweeper finds it.
    """
    to = recipient_of(submission.on_complete)
    if to is not None:
        services.hints.send(TaskName.DELIVER, to.target)
