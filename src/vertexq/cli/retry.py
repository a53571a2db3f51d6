"""``vertexq retry``: have rows of a submission that has ended tried again."""

from __future__ import annotations

from typing import Annotated

import typer

import vertexq
from vertexq.by_hand import failed_outcomes
from vertexq.cli.reporting import AsJson, SubmissionId, reported, say, say_json
from vertexq.cli.standing import say_status


def retry(
    submission_id: SubmissionId,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Rows that failed or are missing.")] = False,
    blocked: Annotated[bool, typer.Option("--blocked", help="Rows that the model would not answer.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Rows that no answer came back for.")] = False,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Rows whose answer the store could not hold.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Another model of the same family.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try rows of a submission that has ended again, in new jobs, which are paid for.

    A better answer takes the place of the row in the store; what the first one has cost stays in the account.
    Rows of lost jobs, which may still run, and rows that the check set aside are never sent again.
    """
    with reported(as_json=as_json), vertexq.Client() as client:
        outcomes = failed_outcomes(failed=failed, blocked=blocked, missing=missing, quarantined=quarantined)
        if not outcomes:
            raise vertexq.BadInput(
                "say which rows: --failed (also those that are missing), --missing, --blocked, --quarantined"
            )
        status = client.retry(submission_id, outcomes=outcomes, model=model)
        if as_json:
            say_json(status.to_json())
            return
        say_status(status)
        if status.resting:
            say("\nIt has no such rows; there is nothing to try again.")
        else:
            say(f"\nWatch it with: vertexq watch {submission_id}")
