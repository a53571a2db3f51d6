"""What is known of a table: its columns, how many rows it had when, and its earlier states. No I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from vertexq.errors import PreconditionFailed
from vertexq.simulator.bigquery.fields import Field, fields_from, schema_resource
from vertexq.simulator.bigquery.names import Json, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A table as it was from ``start_us`` to ``end_us``, kept in the schema ``_past``."""

    start_us: int
    end_us: int
    copy: str
    marks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table or a view. ``marks`` says how many rows it had from which moment on, oldest first."""

    name: TableName
    fields: tuple[Field, ...] = ()
    about: Json = field(default_factory=dict[str, object])
    view: str = ""
    location: str = "US"
    created_us: int = 0
    changed_us: int = 0
    marks: tuple[tuple[int, int], ...] = ()
    past: tuple[Past, ...] = ()

    @property
    def etag(self) -> str:
        """Return what changes with the metadata."""
        return f'"{self.changed_us:x}"'

    def resource(self, origin: str) -> dict[str, object]:
        """Return the ``Table``; ``origin`` is the simulator's scheme and host."""
        name = self.name
        path = f"projects/{name.project}/datasets/{name.dataset}/tables/{name.table}"
        said: dict[str, object] = {
            "kind": "bigquery#table",
            "etag": self.etag,
            "id": str(name),
            "selfLink": f"{origin}/bigquery/v2/{path}",
            "tableReference": name.reference(),
            "type": "VIEW" if self.view else "TABLE",
            "location": self.location,
            "creationTime": str(self.created_us // 1000),
            "lastModifiedTime": str(max(self.changed_us, *(at for at, _ in self.marks[-1:]), 0) // 1000),
            "schema": schema_resource(self.fields),
        }
        return {**self.about, **said} | ({} if self.view else {"numRows": str(self.rows)})

    @property
    def expired(self) -> bool:
        """Whether it is one that has an end, and that is past."""
        end_ms = str(self.about.get("expirationTime") or "")
        return bool(end_ms) and int(end_ms) * 1000 <= now_us()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.marks[-1][1] if self.marks else 0

    def check_etag(self, etag: str) -> None:
        """Raise ``PreconditionFailed`` (412) when ``etag`` is given and another one."""
        if etag and etag not in {"*", self.etag}:
            raise PreconditionFailed(
                f"Precondition Failed: the etag of table {self.name} is another one",
                status=412,
                code="conditionNotMet",
            )


def now_us() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


def kept(table: Table) -> dict[str, object]:
    """Return what is kept of a table, as JSON; ``table_from`` reads it."""
    return {
        "name": [table.name.project, table.name.dataset, table.name.table],
        "schema": schema_resource(table.fields),
        "about": table.about,
        "view": table.view,
        "created_us": table.created_us,
        "changed_us": table.changed_us,
        "marks": table.marks,
        "past": [[past.start_us, past.end_us, past.copy, past.marks] for past in table.past],
    }


def table_from(kept: Any, location: str) -> Table:
    """Read what is kept of a table in a dataset at ``location``."""
    project, dataset, table = kept["name"]
    past = (
        Past(start_us=start, end_us=end, copy=copy, marks=_marks(marks))
        for start, end, copy, marks in kept["past"]
    )
    return Table(
        name=TableName(project=project, dataset=dataset, table=table),
        fields=fields_from(kept["schema"]),
        about=kept["about"],
        view=kept["view"],
        location=location,
        created_us=kept["created_us"],
        changed_us=kept["changed_us"],
        marks=_marks(kept["marks"]),
        past=tuple(past),
    )


def _marks(marks: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((moment, rows) for moment, rows in marks)
