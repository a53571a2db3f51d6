"""``vertexq status``: how one submission stands, or the newest ones."""

from __future__ import annotations

from typing import Annotated

import typer

import vertexq
from vertexq.cli.reporting import LIMIT_MOST, AsJson, reported, say, say_json
from vertexq.cli.standing import say_status, say_statuses
from vertexq.settings import Settings


def status(
    submission_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The submission's id; without it, the newest ones.")
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=LIMIT_MOST, help="How many of the newest.")
    ] = 20,
    limits: Annotated[
        bool, typer.Option("--limits", help="Say instead what is limited, and how much of it is taken.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how a submission stands, or list the newest; or how the limits stand.

    The exit code is 0 whenever the submission is known; that of ``watch`` says how it ended.
    """
    from vertexq.cli.ledger_look import no_ledger  # noqa: PLC0415

    if limits:
        _limits(submission_id, as_json=as_json)
        return
    with reported(as_json=as_json), vertexq.Client() as client:
        missing = no_ledger(Settings.for_producer().ledger_url)
        if submission_id is None:
            found = [] if missing else client.list(limit=limit)
            if as_json:
                say_json([one.to_json() for one in found])
            elif found:
                say_statuses(found)
            else:
                say(
                    f"{missing[:1].upper()}{missing[1:]}."
                    if missing
                    else "The ledger has no submissions yet."
                )
            return
        if missing:
            raise vertexq.UnknownSubmission(missing)
        one = client.get(submission_id)
        if as_json:
            say_json(one.to_json())
        else:
            say_status(one)


def _limits(submission_id: str | None, *, as_json: bool) -> None:
    from vertexq.cli.limits import say_limits  # noqa: PLC0415  (it loads the way to Redis)

    with reported(as_json=as_json):
        if submission_id is not None:
            raise vertexq.BadInput("--limits is about all submissions; leave the id away")
        say_limits(Settings.from_env(), as_json=as_json)
