"""Options that commands share, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from vertexq.errors import BadInput

Family = Annotated[
    str, typer.Option("--family", help="The kind of model, where its name does not say it: automl-image, …")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the model, for all rows."),
]
KeyField = Annotated[str, typer.Option("--key", help="The field that holds each row's key.")]
TemplateFile = Annotated[
    Path | None, typer.Option("--template", help="A request with {{field}}, as JSON: rows are records.")
]
SplitConflicts = Annotated[
    bool, typer.Option("--split-conflicts", help="Rows of different shapes get batches of their own.")
]
Repair = Annotated[
    bool, typer.Option("--repair", help="Mend what can be mended without a change of meaning.")
]
SetAside = Annotated[
    bool, typer.Option("--set-aside", help="Rows that cannot be sent end as failed; the rest runs.")
]


def parameters_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Return ``name=value`` pairs as an object; a value that is JSON is that, any other one is a text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise BadInput(f"--parameter {pair}: write it as name=value")
        if name in found:
            raise BadInput(f"--parameter {pair}: {name} was given before; write it once")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
