"""Wait for a submission and show how it gets on, for ``watch`` and for ``submit --wait``."""

from __future__ import annotations

import typer

import vertexq
from vertexq.cli.reporting import ExitCode, reported, say, say_json
from vertexq.cli.standing import say_status


def follow(
    client: vertexq.Client, submission_id: str, *, as_json: bool, timeout_s: float | None = None
) -> None:
    """Show every look until the submission rests; leave with 1 unless every row was answered.

    As JSON there is one object a line, each time something has changed.
    """
    goes_on = f"submission {submission_id} goes on; watch it again with: vertexq watch {submission_id}"
    with reported(as_json=as_json, interrupted=goes_on):
        if as_json:
            status = client.wait(submission_id, timeout_s=timeout_s, on_progress=_Changes())
        else:
            with vertexq.ProgressBar() as bar:
                status = client.wait(submission_id, timeout_s=timeout_s, on_progress=bar)
            say()
            say_status(status)
        if not status.all_answered:
            raise typer.Exit(ExitCode.NOT_ALL_ANSWERED)


class _Changes:
    """Prints a status when it differs from the one before."""

    def __init__(self) -> None:
        self._last: vertexq.Status | None = None

    def __call__(self, status: vertexq.Status) -> None:
        if status != self._last:
            self._last = status
            say_json(status.to_json())
