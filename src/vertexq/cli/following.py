"""Wait for a submission and show how it gets on, for ``watch`` and for ``submit --wait``."""

from __future__ import annotations

import typer

import vertexq
from vertexq.cli.outlet import reader_may_leave
from vertexq.cli.reporting import ExitCode, reported, say, say_json
from vertexq.cli.standing import say_status
from vertexq.plain import one_line


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


def follow_events(client: vertexq.Client, submission_id: str, *, as_json: bool, after: str = "") -> None:
    """Print every event until the submission rests; leave with 1 unless every row was answered."""
    goes_on = (
        f"submission {submission_id} goes on; watch it again with: vertexq watch {submission_id} --events"
    )
    with reported(as_json=as_json, interrupted=goes_on), reader_may_leave():
        for event in client.events(submission_id, after=after):
            if as_json:
                say_json(event.to_json())
            else:
                say(_said(event))
        if not client.get(submission_id).all_answered:
            raise typer.Exit(ExitCode.NOT_ALL_ANSWERED)


def _said(event: vertexq.Event) -> str:
    """Return an event as a line: when, what, where it stands now, and why or how many rows have landed."""
    at = event.at.isoformat(timespec="milliseconds")
    if event.kind is vertexq.EventKind.ROWS:
        return f"{at}  rows        {event.counts.total:,} landed, {event.counts.succeeded:,} succeeded"
    why = f"  {one_line(event.reason)}" if event.reason else ""
    return f"{at}  {event.kind.value:<10}  {one_line(event.id)}  {event.state}{why}"


class _Changes:
    """Prints a status when it differs from the one before."""

    def __init__(self) -> None:
        self._last: vertexq.Status | None = None

    def __call__(self, status: vertexq.Status) -> None:
        if status != self._last:
            self._last = status
            say_json(status.to_json())
