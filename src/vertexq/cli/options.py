"""Options that commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
