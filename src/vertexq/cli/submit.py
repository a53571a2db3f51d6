"""``vertexq submit``: enqueue a file, an object in Cloud Storage or standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import vertexq
from vertexq.cli.following import follow
from vertexq.cli.reporting import AsJson, reported, say, say_json
from vertexq.cli.standing import say_status
from vertexq.settings import NO_LEDGER, Settings

if TYPE_CHECKING:
    from vertexq.client import Source


def submit(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A JSON Lines file, a gs:// URI, or - for standard input.")
    ],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model, as Google writes it.")],
    store: Annotated[str, typer.Option("--store", "-s", help="The store's name: VERTEXQ_STORE_<NAME>.")],
    submission_id: Annotated[
        str | None, typer.Option("--id", help="Its id; enqueued twice under one id, it runs once.")
    ] = None,
    key: Annotated[str, typer.Option("--key", help="The field that holds each row's key.")] = "key",
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label for Google's jobs.")
    ] = None,
    project: Annotated[str, typer.Option("--project", help="Google Cloud project (the worker's).")] = "",
    location: Annotated[str, typer.Option("--location", help="Region, or global (the worker's).")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended, and show progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue rows; print the submission's id and how it stands."""
    with reported(as_json=as_json), vertexq.Client() as client:
        has_ledger = Settings.for_producer().ledger_url != NO_LEDGER
        if wait and not has_ledger:
            raise vertexq.BadInput(
                "--wait needs a ledger; set VERTEXQ_LEDGER_URL, or leave --wait out; nothing was sent"
            )
        submission = client.submit(
            _source(source),
            model=model,
            store=_store(store),
            id=submission_id,
            key=key,
            labels=_labels(label or []),
            project=project,
            location=location,
        )
        if wait:
            follow(client, submission.id, as_json=as_json)
            return
        from vertexq.status import status_of  # noqa: PLC0415

        status = status_of(submission, ())
        if as_json:
            say_json(status.to_json())
        else:
            say_status(status)
            if has_ledger:
                say(f"\nWatch it with: vertexq watch {submission.id}")


def _source(text: str) -> Source:
    if not text.strip():
        raise vertexq.BadSource(
            "no source was given: name a JSON Lines file, a gs:// URI or - for standard input"
        )
    if text == "-":
        return sys.stdin.buffer
    scheme, separator, _ = text.partition("://")
    if separator and scheme != "gs":
        raise vertexq.BadSource(
            f"{text} cannot be enqueued: a source is a file, a gs:// URI or - for standard input"
        )
    return text


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
        found[name] = value
    return found
