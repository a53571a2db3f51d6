"""``vertexq submit``: enqueue files, objects in Cloud Storage or standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import vertexq
from vertexq.cli.following import follow
from vertexq.cli.looking import Looking
from vertexq.cli.options import (
    Family,
    KeyField,
    Parameters,
    Repair,
    SetAside,
    SplitConflicts,
    TemplateFile,
    parameters_of,
)
from vertexq.cli.reporting import AsJson, reported, say, say_json
from vertexq.cli.standing import say_status
from vertexq.cli.waiting import has_ledger
from vertexq.plain import one_line
from vertexq.sources.kinds import is_object
from vertexq.sources.tables import is_table

if TYPE_CHECKING:
    from vertexq.client import Source


def submit(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files (JSON Lines, CSV, Parquet; .gz, .zst), gs:// URIs (* and ** are wildcards), a table "
            "bq://PROJECT.DATASET.TABLE, or - for standard input; several of one kind.",
        ),
    ],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model, as Google writes it.")],
    store: Annotated[
        list[str],
        typer.Option(
            "--store",
            "-s",
            help="The store's name: VERTEXQ_STORE_<NAME>; may be repeated, the first is read by results.",
        ),
    ],
    submission_id: Annotated[
        str | None, typer.Option("--id", help="Its id; enqueued twice under one id, it runs once.")
    ] = None,
    family: Family = "",
    parameter: Parameters = None,
    key: KeyField = "key",
    template: TemplateFile = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label for Google's jobs.")
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose share of the slots it takes.")] = "",
    project: Annotated[str, typer.Option("--project", help="Google Cloud project (the worker's).")] = "",
    location: Annotated[str, typer.Option("--location", help="Region, or global (the worker's).")] = "",
    split_conflicts: SplitConflicts = False,
    repair: Repair = False,
    set_aside: SetAside = False,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="gs:// objects are the jobs' input themselves, not copied.")
    ] = False,
    validate: Annotated[
        bool,
        typer.Option("--validate", help="Answers in JSON that break their request's schema have failed."),
    ] = False,
    priority: Annotated[int, typer.Option("--priority", help="-9 to 9; higher goes first.")] = 0,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="Park it rather than spend more.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", metavar="TIME", help="When it must have ended: 6h, 90m, 2d.")
    ] = None,
    on_deadline: Annotated[
        str, typer.Option("--on-deadline", metavar="WHAT", help="Rows without an answer: report or rerun.")
    ] = "report",
    on_complete: Annotated[
        str,
        typer.Option(
            "--on-complete",
            metavar="WHOM",
            help="Tell a Celery task (NAME, NAME@QUEUE) or webhook:STORE at the end.",
        ),
    ] = "",
    destination: Annotated[
        str,
        typer.Option("--destination", metavar="bq://PROJECT.DATASET", help="Where jobs write tables."),
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="The source is a job's output: answered rows are kept.")
    ] = False,
    finish_online: Annotated[
        int,
        typer.Option("--finish-online", metavar="N", help="Answer fewer than N rows online."),
    ] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended, and show progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue rows; print the submission's id, what it may cost, and how it stands."""
    looking = Looking(one_line(" ".join(source)))
    with reported(as_json=as_json), vertexq.Client() as client, looking:
        followed = has_ledger(wait=wait)
        submission = client.submit(
            _source(source),
            model=model,
            store=[_store(name) for one in store for name in one.split(",")],
            id=submission_id,
            key=key,
            template=template,
            labels=_labels(label or []),
            tenant=tenant,
            project=project,
            location=location,
            policy=vertexq.Policy(
                split_conflicts=split_conflicts,
                repair=repair,
                set_aside=set_aside,
                as_is=as_is,
                validate=validate,
                resume=resume,
            ),
            family=family,
            parameters=parameters_of(parameter or []),
            destination=destination,
            finish_online=finish_online,
            priority=priority,
            budget_usd=budget,
            deadline=deadline,
            on_deadline=on_deadline,
            on_complete=on_complete,
            on_rows=looking.at,
        )
        looking.clear()
        if wait:
            follow(client, submission.id, as_json=as_json)
            return
        _say(submission, as_json=as_json, followed=followed)


def _say(submission: vertexq.Submission, *, as_json: bool, followed: bool) -> None:
    from vertexq.status import status_of  # noqa: PLC0415

    status = status_of(submission, ())
    if as_json:
        say_json(status.to_json())
        return
    say_status(status)
    if followed:
        say(f"\nWatch it with: vertexq watch {submission.id}")


def _source(given: Sequence[str]) -> Source:
    """Return one source, or several of one kind."""
    for text in given:
        _check(text)
    if all(map(is_table, given)):
        return list(given)
    if given == ["-"]:
        return sys.stdin.buffer
    if any(map(is_table, given)) or len({is_object(text) for text in given}) > 1 or "-" in given:
        raise vertexq.BadSource(
            "name files, or gs:// URIs, or one table, or - alone: one submission takes one kind of source"
        )
    return list(given) if is_object(given[0]) else [Path(text) for text in given]


def _check(text: str) -> None:
    if not text.strip():
        raise vertexq.BadSource(
            "no source was given: name a JSON Lines file, a gs:// URI or - for standard input"
        )
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in {"gs", "bq"}:
        raise vertexq.BadSource(
            f"{text} cannot be enqueued: a source is a file, a gs:// URI, a table "
            "bq://project.dataset.table, or - for standard input"
        )


def _store(name: str) -> str:
    """Return the name; other characters and capitals could not come from a variable's name."""
    if re.fullmatch("[a-z0-9_]+", name) is None:
        raise vertexq.UnknownStore(
            f"{name!r} is no name of a store: it has letters (in lower case), digits and _ only; "
            "for the store of VERTEXQ_STORE_RESULTS write results"
        )
    return name


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise vertexq.BadInput(f"--label {pair}: write it as name=value")
        if name in found:
            raise vertexq.BadInput(f"--label {pair}: {name} was given before; a job has each label once")
        found[name] = value
    return found
