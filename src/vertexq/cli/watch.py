"""``vertexq watch``: follow a submission until it has ended."""

from __future__ import annotations

from typing import Annotated

import typer

import vertexq
from vertexq.cli.following import follow
from vertexq.cli.reporting import AsJson, SubmissionId, reported


def watch(
    submission_id: SubmissionId,
    *,
    timeout_s: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop watching after this long."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show progress until a submission has ended or is parked; leave with 1 unless every row was answered."""
    with reported(as_json=as_json), vertexq.Client() as client:
        follow(client, submission_id, as_json=as_json, timeout_s=timeout_s)
