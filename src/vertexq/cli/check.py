"""``vertexq check``: look whether files would be taken; nothing is sent and no server is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vertexq.cli.reporting import AsJson, ExitCode, complain, reported, say, say_json
from vertexq.plain import lines, one_line

if TYPE_CHECKING:
    from vertexq.families import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a look at one file gave; ``faults`` are the first ones, ``faulty`` counts them all."""

    file: str
    rows: int
    faulty: int
    faults: list[str]
    unreadable: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """Return what this file alone would end with."""
        if self.unreadable:
            return ExitCode.BAD_INPUT
        return ExitCode.NOT_ALL_ANSWERED if self.faults else ExitCode.DONE

    def entry(self) -> dict[str, object]:
        """Return what scripts get."""
        faults = [lines(fault) for fault in self.faults]
        return {"file": one_line(self.file), "rows": self.rows, "faulty": self.faulty, "faults": faults}


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSON Lines files.")],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model that will get the rows.")],
    key: Annotated[str, typer.Option("--key", help="The field that holds each row's key.")] = "key",
    as_json: AsJson = False,
) -> None:
    """Look at files before they are enqueued: every line is read, every fault is named by its line."""
    from vertexq.families import family_of  # noqa: PLC0415
    from vertexq.settings import Settings  # noqa: PLC0415

    with reported(as_json=as_json):
        family, limit_bytes = family_of(model), Settings.for_producer().line_limit_bytes
        found: list[Examined] = []
        for name in files:
            found.append(_looked_at(name, family, key_field=key, line_limit_bytes=limit_bytes))
            if found[-1].unreadable:
                complain(found[-1].faults[0])
            elif not as_json:
                _say(found[-1])
        if as_json:
            say_json([one.entry() for one in found])
        if code := max(one.exit_code for one in found):
            raise typer.Exit(code)


def _looked_at(name: str, family: Family, *, key_field: str, line_limit_bytes: int) -> Examined:
    from vertexq.errors import BadSource  # noqa: PLC0415

    try:
        return _examined(name, family, key_field=key_field, line_limit_bytes=line_limit_bytes)
    except BadSource as error:  # the other files are still looked at
        return Examined(file=name, rows=0, faulty=0, faults=[str(error)], unreadable=True)


def _examined(name: str, family: Family, *, key_field: str, line_limit_bytes: int) -> Examined:
    from vertexq.errors import BadSource  # noqa: PLC0415
    from vertexq.intake import Intake  # noqa: PLC0415
    from vertexq.sources.files import rows_of_file  # noqa: PLC0415
    from vertexq.uniqueness import KeyLog  # noqa: PLC0415

    if not name.strip():
        raise BadSource("an empty name is no file; name a JSON Lines file")
    if "://" in name:
        raise BadSource(f"{name} is no local file; what is in Cloud Storage is checked when it is staged")
    intake, keys = Intake(family, name=name, key_field=key_field), KeyLog()
    try:
        for rows in rows_of_file(Path(name), intake, line_limit_bytes=line_limit_bytes):
            for row in rows:
                keys.add(row.key, row.line)
        intake.note_duplicates(keys)
    finally:
        keys.close()
    report = intake.verdict().report
    faults = [str(fault) for fault in report.faults] if report.rows else ["it holds no rows"]
    return Examined(file=name, rows=intake.rows, faulty=report.faulty, faults=faults)


def _say(one: Examined) -> None:
    name = one_line(one.file)
    if not one.faults:
        say(f"{name}: {one.rows:,} rows, all good")
        return
    say(f"{name}: {one.rows:,} rows read, {one.faulty:,} cannot be enqueued")
    for fault in one.faults:
        say(f"  {one_line(fault)}")
    if one.faulty > len(one.faults):
        say(f"  and {one.faulty - len(one.faults):,} more")
