"""How commands speak: answers on standard output, one clear ``error: …`` on standard error, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import IntEnum
from typing import Annotated

import typer

from vertexq.errors import VertexqError
from vertexq.plain import lines


class ExitCode(IntEnum):
    """What a command's exit code says; ``docs/cli.md`` tells scripts about them."""

    DONE = 0
    NOT_ALL_ANSWERED = 1  # rows failed, or the job did; also parked, rejected, cancelled
    BAD_INPUT = 2
    UNREACHABLE = 3
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


LIMIT_MOST = 1_000_000_000
"""The most that ``--limit`` takes; every ledger and store can count so far."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
SubmissionId = Annotated[str, typer.Argument(metavar="ID", help="The submission's id.")]


@contextmanager
def reported(*, as_json: bool, interrupted: str = "") -> Generator[None]:
    """Turn errors of vertexq into one message and their exit code.

    Any other exception is a defect and is left alone. ``interrupted`` is what Ctrl-C leads to, as a sentence.
    """
    try:
        yield
    except VertexqError as error:
        complain(str(error))
        if as_json:
            say_json({"error": lines(str(error)), "kind": type(error).__name__})
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        print(interrupted or "interrupted", file=sys.stderr)  # noqa: T201
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def complain(message: str) -> None:
    """Print an error to standard error, with its foreign parts made fit to be shown."""
    print(f"error: {lines(message)}", file=sys.stderr)  # noqa: T201


def say(text: str = "") -> None:
    """Print a line to standard output; the caller has made its foreign parts fit to be shown."""
    print(text, flush=True)  # noqa: T201


def say_json(value: object) -> None:
    """Print one JSON value on one line; dataclasses and instants are written as well."""
    import orjson  # noqa: PLC0415  (--help does without)

    try:
        text = orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()
    except orjson.JSONEncodeError:  # a model may have written any number, and halves of characters
        text = _slow_json(value)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _slow_json(value: object) -> str:
    """Write JSON with integers of any length, and with lone surrogates, which ``orjson`` does not write."""
    import json  # noqa: PLC0415

    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)  # an integer of more digits than Python reads


def on_terminal() -> bool:
    """Tell whether a person reads standard output."""
    return sys.stdout.isatty()
