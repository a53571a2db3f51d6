"""Orders to endpoints for people: one in a few lines, and one as it gets on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

import vertexq
from vertexq.cli.reporting import ExitCode, reported, say, say_json
from vertexq.plain import one_line

if TYPE_CHECKING:
    from vertexq.endpoints import Operation

FAILED = "failed"


def say_operation(operation: Operation, *, followed: bool) -> None:
    """Print what was ordered, how it stands, and what to do next, if it can be ``followed`` from here."""
    say(_line(operation))
    if operation.deployed_model_id and operation.kind == "deploy":
        say(f"  deployed model  {operation.deployed_model_id}")
    if operation.google_name:
        say(f"  at Google       {one_line(operation.google_name)}")
    if followed and not operation.resting:
        say(f"\nFollow it with: vertexq endpoints operations {operation.id} --wait")


def follow_operation(client: vertexq.Client, operation_id: str, *, as_json: bool) -> None:
    """Print every change of an operation until it has ended; leave with 1 when it failed."""
    goes_on = f"{operation_id} goes on; follow it with: vertexq endpoints operations {operation_id} --wait"
    with reported(as_json=as_json, interrupted=goes_on):
        ended = client.endpoints.wait(operation_id, on_progress=_Changes(as_json=as_json))
        if ended.state == FAILED:
            raise typer.Exit(ExitCode.NOT_ALL_ANSWERED)


class _Changes:
    """Prints an operation when it differs from the one before."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last = ""

    def __call__(self, operation: Operation) -> None:
        line = _line(operation)
        if line == self._last:
            return
        self._last = line
        if self._as_json:
            say_json(operation.to_json())
        else:
            say(line)


def _line(operation: Operation) -> str:
    words = [operation.id, f"{operation.kind.value} {operation.endpoint}", operation.state.value]
    words += [operation.stage] if operation.stage else []
    return "  ".join(words) + (f": {one_line(operation.reason)}" if operation.reason else "")
