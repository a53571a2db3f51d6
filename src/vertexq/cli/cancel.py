"""``vertexq cancel``: ask a submission to stop."""

from __future__ import annotations

import vertexq
from vertexq.cli.reporting import AsJson, SubmissionId, reported, say, say_json
from vertexq.cli.standing import say_status
from vertexq.states import SubmissionState


def cancel(submission_id: SubmissionId, *, as_json: AsJson = False) -> None:
    """Stop a submission: what was not sent is withdrawn; finished rows are collected, and paid for."""
    with reported(as_json=as_json), vertexq.Client() as client:
        status = client.cancel(submission_id)
        if as_json:
            say_json(status.to_json())
            return
        say_status(status)
        if status.ended:
            say("\nIt has ended; there is nothing left to stop.")
        elif status.state is not SubmissionState.CANCELLING:  # whoever has it in hand is not disturbed
            say(f"\nThe cancel is noted; it takes effect when the work at hand ({status.state.value}) ends.")
