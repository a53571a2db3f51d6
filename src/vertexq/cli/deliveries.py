"""``vertexq deliveries``: what receivers of a submission have taken, what waits, and what was given up."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import vertexq
from vertexq.cli.reporting import AsJson, SubmissionId, reported, say, say_json
from vertexq.cli.tables import Column, say_table

COLUMNS = (
    Column("target"),
    Column("waiting", right=True),
    Column("delivered", right=True),
    Column("given up", right=True),
    Column("last failure", may_be_cut=True),
)


def deliveries(
    submission_id: SubmissionId,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Try what waits or was given up once more, from now on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what webhooks and Celery tasks have been told about a submission."""
    with reported(as_json=as_json), vertexq.Client() as client:
        told = client.deliveries(submission_id, again=again)
        if as_json:
            say_json([asdict(one) for one in told])
        elif not told:
            say("Nobody is told about this submission.")
        else:
            rows = [
                [one.target, f"{one.waiting:,}", f"{one.delivered:,}", f"{one.abandoned:,}", one.reason]
                for one in told
            ]
            say_table(COLUMNS, rows)
