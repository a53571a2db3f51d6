"""What there is: datasets and tables with their metadata, kept beside their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson

from vertexq.simulator.bigquery.fields import (
    Field,
    definitions,
    fields_from,
    fields_of,
    merged,
)
from vertexq.simulator.bigquery.names import (
    DatasetName,
    Json,
    TableName,
    duplicate,
    inner,
    invalid,
    not_found,
    quoted,
)
from vertexq.simulator.bigquery.tables import Table, kept, now_us, table_from
from vertexq.simulator.bigquery.warehouse import Database

_OURS = frozenset(
    {
        "kind",
        "etag",
        "id",
        "selfLink",
        "creationTime",
        "lastModifiedTime",
        "schema",
        "numRows",
        "type",
        "location",
    }
)


class Catalog:
    """The metadata, as one transaction sees and changes it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def datasets(self, project: str) -> list[Json]:
        """Return the datasets of a project, by name."""
        sql = "SELECT body FROM _sim.datasets WHERE project = ? ORDER BY dataset"
        return [orjson.loads(body) for (body,) in self.database.run(sql, [project])]

    def dataset(self, name: DatasetName) -> Json:
        """Return a dataset's resource; raise ``NotFound``."""
        sql = "SELECT body FROM _sim.datasets WHERE project = ? AND dataset = ?"
        found = self.database.run(sql, [name.project, name.dataset])
        if not found:
            raise not_found(f"Dataset {name}")
        body: Json = orjson.loads(found[0][0])
        return body

    def create_dataset(self, name: DatasetName, said: Json, origin: str) -> Json:
        """Make a dataset; raise ``Refused`` (409) when it is there."""
        if self.database.run(
            "SELECT 1 FROM _sim.datasets WHERE project = ? AND dataset = ?", [name.project, name.dataset]
        ):
            raise duplicate(f"Dataset {name}")
        moment = str(now_us() // 1000)
        resource: dict[str, object] = {
            **said,
            "kind": "bigquery#dataset",
            "etag": f'"{now_us():x}"',
            "id": str(name),
            "selfLink": f"{origin}/bigquery/v2/projects/{name.project}/datasets/{name.dataset}",
            "datasetReference": name.reference(),
            "location": _location(said),
            "creationTime": moment,
            "lastModifiedTime": moment,
        }
        self.database.run(f"CREATE SCHEMA {name.sql}")
        body = orjson.dumps(resource).decode()
        self.database.run("INSERT INTO _sim.datasets VALUES (?, ?, ?)", [name.project, name.dataset, body])
        return resource

    def drop_dataset(self, name: DatasetName, *, with_tables: bool) -> None:
        """Remove a dataset; raise ``Refused`` (400) when it is in use."""
        self.dataset(name)
        tables = self.tables(name)
        if tables and not with_tables:
            raise invalid(f"Dataset {name} is still in use", reason="resourceInUse")
        for table in sorted(tables, key=lambda each: not each.view):
            self.drop(table)
        self.database.run(f"DROP SCHEMA {name.sql}")
        self.database.run(
            "DELETE FROM _sim.datasets WHERE project = ? AND dataset = ?", [name.project, name.dataset]
        )

    def tables(self, name: DatasetName) -> list[Table]:
        """Return the tables and views of a dataset, by name; raise ``NotFound`` without the dataset."""
        location = str(self.dataset(name)["location"])
        sql = "SELECT body FROM _sim.tables WHERE project = ? AND dataset = ? ORDER BY name"
        found = self.database.run(sql, [name.project, name.dataset])
        return [table_from(orjson.loads(body), location) for (body,) in found]

    def find(self, name: TableName) -> Table | None:
        """Return a table, or None; raise ``NotFound`` when not even the dataset is there."""
        location = str(self.dataset(name.home)["location"])
        sql = "SELECT body FROM _sim.tables WHERE project = ? AND dataset = ? AND name = ?"
        found = self.database.run(sql, [name.project, name.dataset, name.table])
        table = table_from(orjson.loads(found[0][0]), location) if found else None
        if table is not None and table.expired:
            self.drop(table)
            return None
        return table

    def table(self, name: TableName) -> Table:
        """Return a table; raise ``NotFound``."""
        found = self.find(name)
        if found is None:
            raise not_found(f"Table {name} was not found in location {self.dataset(name.home)['location']}")
        return found

    def create(self, name: TableName, said: Json) -> Table:
        """Make a table; raise ``Refused`` (409) when it is there."""
        if self.find(name) is not None:
            raise duplicate(f"Table {name}")
        fields = fields_from(said.get("schema"))
        self.database.run(f"CREATE TABLE {name.sql} ({definitions(fields) or '_none INTEGER'})")
        return self.put(Table(name=name, fields=fields, about=_about(said), created_us=now_us()))

    def create_view(self, name: TableName, said: Json, sql: str) -> Table:
        """Make a view of ``sql``, which is DuckDB's; raise ``Refused`` (409) when it is there."""
        if self.find(name) is not None:
            raise duplicate(f"Table {name}")
        self.database.run(f"CREATE VIEW {name.sql} AS {sql}")
        fields = fields_of(self.database.described(f"SELECT * FROM {name.sql}"))
        query = str(inner(said, "view").get("query"))
        return self.put(Table(name=name, fields=fields, about=_about(said), view=query, created_us=now_us()))

    def patch(self, table: Table, said: Json) -> Table:
        """Change what ``said`` names; columns may be added or relaxed. Raise ``Refused`` (400)."""
        if said.get("schema"):
            table = self.add_columns(table, fields_from(said["schema"]))
        return self.put(replace(table, about={**table.about, **_about(said)}))

    def add_columns(self, table: Table, fields: Sequence[Field]) -> Table:
        """Add the columns of ``fields`` that the table lacks; the others may only be relaxed."""
        wanted = merged(table.fields, fields)
        known = {each.name.lower(): each for each in table.fields}
        for each in wanted:
            old = known.get(each.name.lower())
            if old is None:
                self.database.run(f"ALTER TABLE {table.name.sql} ADD COLUMN {definitions([each])}")
            elif old.mode == "REQUIRED" != each.mode:
                column = quoted(old.name)
                self.database.run(f"ALTER TABLE {table.name.sql} ALTER COLUMN {column} DROP NOT NULL")
        if not table.fields and wanted:
            self.database.run(f"ALTER TABLE {table.name.sql} DROP COLUMN _none")
        return self.put(replace(table, fields=wanted))

    def drop(self, table: Table) -> None:
        """Remove a table or a view."""
        self.database.run(f"DROP {'VIEW' if table.view else 'TABLE'} {table.name.sql}")
        self.forget(table.name)

    def forget(self, name: TableName) -> None:
        """Remove the metadata of what is gone."""
        sql = "DELETE FROM _sim.tables WHERE project = ? AND dataset = ? AND name = ?"
        self.database.run(sql, [name.project, name.dataset, name.table])

    def adopt(self, name: TableName, *, view: str = "") -> None:
        """Let the metadata say what a statement of SQL made of a table: it is new, changed, or gone."""
        sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
        if not self.database.run(sql, [str(name.home), name.table]):
            self.forget(name)
            return
        known = self.find(name) or Table(name=name, created_us=now_us(), view=view)
        fields = fields_of(self.database.described(f"SELECT * FROM {name.sql}"))
        same = {(each.name, each.sql_type): each for each in known.fields}
        kept = tuple(same.get((each.name, each.sql_type), each) for each in fields)
        self.put(replace(known, fields=kept))

    def put(self, table: Table, *, same: bool = False) -> Table:
        """Keep a table's metadata; they are the ``same`` when only rows were added."""
        changed = table if same else replace(table, changed_us=max(now_us(), table.changed_us + 1))
        self.forget(table.name)
        name = table.name
        body = orjson.dumps(kept(changed)).decode()
        self.database.run(
            "INSERT INTO _sim.tables VALUES (?, ?, ?, ?)", [name.project, name.dataset, name.table, body]
        )
        return changed


def _location(said: Json) -> str:
    location = str(said.get("location") or "US")
    return location.upper() if location.upper() in {"US", "EU"} else location.lower()


def _about(said: Json) -> Json:
    return {name: value for name, value in said.items() if name not in _OURS}
