"""The list of commands. Each lives in a module of its own and loads what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from vertexq.cli.cancel import cancel
from vertexq.cli.check import check
from vertexq.cli.cost import cost
from vertexq.cli.deliveries import deliveries
from vertexq.cli.doctor import doctor
from vertexq.cli.endpoints import endpoints
from vertexq.cli.quarantine import quarantine
from vertexq.cli.results import results
from vertexq.cli.retry import retry
from vertexq.cli.simulate import simulate
from vertexq.cli.status import status
from vertexq.cli.submit import submit
from vertexq.cli.watch import watch

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Where the broker, the ledger and the stores are is in the environment: see config/example.env. "
    "Exit codes: 0 done, 1 rows or the job failed, 2 wrong usage or input, 3 something cannot be reached.",
)


def _say_version(asked: bool) -> None:  # noqa: FBT001  (typer calls it so)
    if asked:
        from importlib.metadata import version  # noqa: PLC0415  (seldom asked for)

        typer.echo(f"vertexq {version('vertexq')}")
        raise typer.Exit


@app.callback()
def vertexq_command(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_say_version),
    ] = False,
) -> None:
    """Queue work for Vertex AI batch prediction (Gemini Enterprise Agent Platform), and look after it."""


for command in (
    check,
    submit,
    status,
    watch,
    results,
    quarantine,
    retry,
    deliveries,
    cancel,
    cost,
    simulate,
    doctor,
):
    app.command()(command)
app.add_typer(endpoints, name="endpoints")
