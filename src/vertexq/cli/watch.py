"""``vertexq watch``: follow a submission until it has ended."""

from __future__ import annotations

from typing import Annotated

import typer

import vertexq
from vertexq.cli.following import follow, follow_events
from vertexq.cli.reporting import AsJson, SubmissionId, reported


def watch(
    submission_id: SubmissionId,
    *,
    timeout_s: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop watching after this long."),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Print what happens, one event a line, from the beginning on.")
    ] = False,
    after: Annotated[
        str, typer.Option("--after", metavar="CURSOR", help="With --events: only what came after this one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show progress until a submission has ended or is parked; leave with 1 unless every row was answered."""
    with reported(as_json=as_json), vertexq.Client() as client:
        if events and timeout_s is not None:
            raise vertexq.BadInput(
                "--timeout does not go with --events; stop it with Ctrl-C, or leave one out"
            )
        if after and not events:
            raise vertexq.BadInput("--after is for --events; pass both, or leave it out")
        if events:
            follow_events(client, submission_id, as_json=as_json, after=after)
        else:
            follow(client, submission_id, as_json=as_json, timeout_s=timeout_s)
