"""``vertexq doctor``: look whether everything that vertexq needs is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vertexq.cli.reporting import AsJson, ExitCode, reported, say, say_json

if TYPE_CHECKING:
    from vertexq.cli.checkup import Finding


Model = Annotated[
    str, typer.Option("--model", help="Also look whether the location knows this model.", metavar="MODEL")
]


def doctor(*, model: Model = "", as_json: AsJson = False) -> None:
    """Look at settings, broker, ledger, Google and the stores; say what is wrong and what to do.

    Looking at a store prepares it: its tables or directories are made when they are missing.
    """
    from vertexq.cli.checkup import findings  # noqa: PLC0415

    found: list[Finding] = []
    with reported(as_json=as_json):
        for finding in findings(model):
            found.append(finding)
            if not as_json:
                say(f"{finding.level.value:<5} {finding.check:<14}  {finding.text}")
        if as_json:
            say_json([{"check": one.check, "level": one.level.value, "text": one.text} for one in found])
        raise typer.Exit(_exit_code(found))


def _exit_code(found: Sequence[Finding]) -> ExitCode:
    if any(one.settings_wrong for one in found):
        return ExitCode.BAD_INPUT
    return ExitCode.UNREACHABLE if any(one.level == "FAIL" for one in found) else ExitCode.DONE
