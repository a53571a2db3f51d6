"""``vertexq check``: look whether files would be taken; nothing is sent and no server is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from vertexq.cli.reporting import AsJson, ExitCode, complain, reported, say, say_json
from vertexq.plain import lines, one_line

if TYPE_CHECKING:
    from vertexq.check.verdict import Verdict
    from vertexq.families import Family as ModelFamily
    from vertexq.intake import Intake
    from vertexq.model import Estimate, Policy
    from vertexq.money import SaidEstimate
    from vertexq.settings import Settings
    from vertexq.sources.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How files are to be read, what may be done about their rows, and what those may cost."""

    family: ModelFamily
    model: str
    parameters: Mapping[str, Any]
    key_field: str
    line_limit_bytes: int
    policy: Policy
    template: Template | None
    reckon: Callable[[Estimate], SaidEstimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a look at one file gave: a verdict, what its rows may cost, or why nobody can read it."""

    file: str
    verdict: Verdict | None = None
    estimate: SaidEstimate | None = None
    refused: bool = False
    unreadable: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """Return what this file alone would end with."""
        if self.unreadable:
            return ExitCode.BAD_INPUT
        return ExitCode.NOT_ALL_ANSWERED if self.refused else ExitCode.DONE

    def entry(self) -> dict[str, object]:
        """Return what scripts get."""
        entry: dict[str, object] = {"file": one_line(self.file), "can_be_sent": not self.exit_code}
        if self.verdict is None or self.estimate is None:
            return {**entry, "rows": 0, "faulty": 0, "faults": [], "error": lines(self.unreadable)}
        return {**entry, **self.verdict.report.to_json(), "estimate": self.estimate.json}


def check(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files: JSON Lines, CSV, TSV or Parquet; .gz and .zst too."),
    ],
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model that will get the rows.")],
    family: Family = "",
    parameter: Parameters = None,
    key: KeyField = "key",
    template: TemplateFile = None,
    split_conflicts: SplitConflicts = False,
    repair: Repair = False,
    set_aside: SetAside = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the good rows of one file, mended, as JSON Lines.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at files before they are enqueued: every row is checked against every rule."""
    from vertexq.errors import BadInput  # noqa: PLC0415
    from vertexq.families import family_taking  # noqa: PLC0415
    from vertexq.model import Policy  # noqa: PLC0415
    from vertexq.settings import Settings  # noqa: PLC0415

    with reported(as_json=as_json):
        if output is not None and len(files) > 1:
            raise BadInput("--output takes the rows of one file; check the others apart")
        settings = Settings.for_producer()
        given = parameters_of(parameter or [])
        wanted = Wanted(
            family=family_taking(model, family, given),
            model=model,
            parameters=given,
            key_field=key,
            line_limit_bytes=settings.line_limit_bytes,
            policy=Policy(split_conflicts=split_conflicts, repair=repair, set_aside=set_aside),
            template=_template(template),
            reckon=_reckoner(model, settings),
        )
        found: list[Examined] = []
        for name in files:
            found.append(_looked_at(name, wanted, output))
            if not as_json:
                _say(found[-1])
        if as_json:
            for one in found:
                if one.unreadable:
                    complain(one.unreadable)
            say_json([one.entry() for one in found])
        if code := max(one.exit_code for one in found):
            raise typer.Exit(code)


def _reckoner(model: str, settings: Settings) -> Callable[[Estimate], SaidEstimate]:
    """Return what turns counted tokens into what they may cost today."""
    from vertexq.money import priced, said_estimate  # noqa: PLC0415
    from vertexq.prices import PriceBook  # noqa: PLC0415

    prices, today = PriceBook.open(settings.prices), datetime.now(UTC).date()
    assumed = settings.assumed_output_tokens
    return lambda counted: said_estimate(priced(counted, model, today, prices, assumed), model=model)


def _template(path: Path | None) -> Template | None:
    from vertexq.errors import BadInput  # noqa: PLC0415
    from vertexq.sources.template import Template  # noqa: PLC0415

    if path is None:
        return None
    try:
        return Template.parse(path.read_bytes())
    except OSError as error:
        raise BadInput(f"the template {path} cannot be read: {error.strerror}") from error


def _looked_at(name: str, wanted: Wanted, output: Path | None) -> Examined:
    from vertexq.errors import BadSource  # noqa: PLC0415

    try:
        return _examined(name, wanted, output)
    except BadSource as error:  # the other files are still looked at
        return Examined(file=name, unreadable=str(error))


def _examined(name: str, wanted: Wanted, output: Path | None) -> Examined:
    from vertexq.check.verdict import note_keys  # noqa: PLC0415
    from vertexq.cli.keeping import Kept  # noqa: PLC0415
    from vertexq.errors import BadSource  # noqa: PLC0415
    from vertexq.intake import Intake  # noqa: PLC0415
    from vertexq.sources.files import rows_of_file  # noqa: PLC0415
    from vertexq.uniqueness import KeyLog  # noqa: PLC0415

    if not name.strip():
        raise BadSource("an empty name is no file; name a JSON Lines file")
    if "://" in name:
        raise BadSource(f"{name} is no local file; what is elsewhere is checked when it is staged")
    intake = Intake(
        wanted.family,
        name=name,
        key_field=wanted.key_field,
        policy=wanted.policy,
        template=wanted.template,
        only_check=output is None,
        parameters=wanted.family.parameters(wanted.parameters),
        model=wanted.model,
    )
    with closing(KeyLog()) as keys, Looking(one_line(name)) as looking, Kept(output) as kept:
        for rows in rows_of_file(Path(name), intake, line_limit_bytes=wanted.line_limit_bytes):
            note_keys(rows, keys)
            kept.write(rows)
            looking.at(intake.rows)
        intake.note_duplicates(keys)
        verdict = intake.verdict()
        kept.sift(verdict)
    estimate = wanted.reckon(verdict.estimate)
    return Examined(file=name, verdict=verdict, estimate=estimate, refused=_is_refused(intake))


def _is_refused(intake: Intake) -> bool:
    from vertexq.errors import BadSource  # noqa: PLC0415

    try:
        intake.close()
    except BadSource:
        return True
    return False


def _say(one: Examined) -> None:
    if one.verdict is None or one.estimate is None:
        complain(one.unreadable)
        return
    name, report = one_line(one.file), one.verdict.report
    if not report.rows:
        say(f"{name}: it holds no rows")
        return
    if one.refused:
        verdict = f"{report.faulty:,} cannot be sent"
    else:
        verdict = f"{report.aside:,} would be set aside, the rest can be sent" if report.aside else "all good"
    say(f"{name}: {report.rows:,} row{'s' if report.rows != 1 else ''}, {verdict}")
    for text in report.lines():
        say(f"  {one_line(text)}")
    if one.verdict.estimate.rows:
        say(f"  cost: {one.estimate.line}")
