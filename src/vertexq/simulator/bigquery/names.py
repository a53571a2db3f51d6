"""Names of projects, datasets and tables, as BigQuery and as DuckDB write them. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from vertexq.errors import NotFound, Refused

Json = Mapping[str, object]

_ID = re.compile(r"[\w-]{1,1024}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetName:
    """A dataset; DuckDB has a schema for it."""

    project: str
    dataset: str

    def __str__(self) -> str:
        """Return it as BigQuery's messages do."""
        return f"{self.project}:{self.dataset}"

    @property
    def sql(self) -> str:
        """The schema, quoted."""
        return quoted(str(self))

    def reference(self) -> dict[str, object]:
        """Return the ``datasetReference``."""
        return {"projectId": self.project, "datasetId": self.dataset}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table or a view."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        """Return it as BigQuery's messages do."""
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def home(self) -> DatasetName:
        """The dataset it is in."""
        return DatasetName(project=self.project, dataset=self.dataset)

    @property
    def sql(self) -> str:
        """The table, quoted, in its schema."""
        return f"{self.home.sql}.{quoted(self.table)}"

    def reference(self) -> dict[str, object]:
        """Return the ``tableReference``."""
        return {**self.home.reference(), "tableId": self.table}


def quoted(name: str) -> str:
    """Return ``name`` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def table_from(reference: object, *, project: str) -> TableName:
    """Read a ``tableReference``; raise ``Refused`` (400) when it names no table."""
    said = inner({"reference": reference}, "reference")
    dataset, table = str(said.get("datasetId") or ""), str(said.get("tableId") or "")
    if not dataset or not table:
        raise invalid("Required parameter is missing: a table's projectId, datasetId and tableId")
    check_id(dataset, "dataset")
    check_id(table.partition("@")[0], "table")
    return TableName(project=str(said.get("projectId") or project), dataset=dataset, table=table)


def check_id(name: str, what: str) -> str:
    """Return ``name``; raise ``Refused`` (400) when it is none that BigQuery takes."""
    if not _ID.fullmatch(name):
        raise invalid(
            f'Invalid {what} ID "{name}". {what.capitalize()} IDs must be alphanumeric (plus underscores and '
            "dashes) and must be at most 1024 characters long."
        )
    return name


def invalid(message: str, *, reason: str = "invalid") -> Refused:
    """Return the error of a request that cannot be carried out (400)."""
    return Refused(message, status=400, code=reason)


def duplicate(what: str) -> Refused:
    """Return the error of an id that is taken (409)."""
    return Refused(f"Already Exists: {what}", status=409, code="duplicate")


def not_found(what: str) -> NotFound:
    """Return the error of a name that is not there (404)."""
    return NotFound(f"Not found: {what}", status=404, code="notFound")


def inner(said: Json, *path: str) -> Json:
    """Return the JSON object at the end of ``path``, empty when there is none."""
    value: object = said
    for name in path:
        value = cast("Json", value).get(name) if isinstance(value, dict) else None
    return cast("Json", value) if isinstance(value, dict) else {}


def listed(value: object) -> list[object]:
    """Return a JSON array as it is, anything else as an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []
