"""Running the statements of a query: what they read is kept until somebody has fetched it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.fields import Field, fields_of
from vertexq.simulator.bigquery.history import keep, mark, renumber
from vertexq.simulator.bigquery.names import (
    DatasetName,
    Json,
    TableName,
    duplicate,
    inner,
    invalid,
    table_from,
)
from vertexq.simulator.bigquery.parameters import parameters_from
from vertexq.simulator.bigquery.sql import Statement, Translator
from vertexq.simulator.bigquery.warehouse import foreign_errors
from vertexq.simulator.bigquery.writing import Write, write_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a query: its last statement's kind, and the rows it changed (None: not DML)."""

    kind: str
    fields: tuple[Field, ...] = ()
    changed: int | None = None
    rows: int = 0


def run_query(catalog: Catalog, query: Json, *, project: str, answer: str) -> Done:
    """Run the query of a job; what its last SELECT finds goes to the table ``answer`` of DuckDB, quoted.

    Raise ``Refused`` (400) and ``NotFound`` as BigQuery does.
    """
    if query.get("useLegacySql", True):
        raise invalid("The simulator speaks GoogleSQL only: set useLegacySql to false", reason="invalidQuery")
    translator = Translator(
        catalog, project=project, default=_default(query, project), values=parameters_from(query)
    )
    done = Done(kind="")
    # one after the other: a statement may need what the one before it made
    for statement in translator.statements(str(query.get("query") or "")):
        done = _run(catalog, statement, answer)
    if done.kind == "SELECT" and query.get("destinationTable"):
        target = table_from(query["destinationTable"], project=project)
        write_rows(catalog, target, done.fields, f"SELECT * FROM {answer}", Write.from_json(query))
    return done


def view_sql(catalog: Catalog, view: Json, name: TableName) -> str:
    """Return the DuckDB query of a view's definition."""
    translator = Translator(catalog, project=name.project)
    found = translator.statements(str(inner({"view": view}, "view").get("query") or ""))
    if len(found) != 1 or not found[0].selects:
        raise invalid("A view is one SELECT statement", reason="invalidQuery")
    return found[0].sql


def _default(query: Json, project: str) -> DatasetName | None:
    said = inner(query, "defaultDataset")
    dataset = str(said.get("datasetId") or "")
    return DatasetName(project=str(said.get("projectId") or project), dataset=dataset) if dataset else None


def _run(catalog: Catalog, statement: Statement, answer: str) -> Done:
    with _translated():
        if statement.selects:
            return _select(catalog, statement, answer)
        if statement.changes_rows:
            return _change(catalog, statement)
        return _define(catalog, statement)


def _select(catalog: Catalog, statement: Statement, answer: str) -> Done:
    database = catalog.database
    database.run(f"CREATE OR REPLACE TABLE {answer} AS {statement.sql}", statement.values)
    fields = fields_of(database.described(f"SELECT * FROM {answer}"))
    rows: int = database.run(f"SELECT count(*) FROM {answer}")[0][0]
    return Done(kind="SELECT", fields=fields, rows=rows)


def _change(catalog: Catalog, statement: Statement) -> Done:
    assert statement.target is not None  # noqa: S101  (DML has one)
    table = catalog.table(statement.target)
    adds = statement.kind == "INSERT"
    table = table if adds else keep(catalog, table)
    changed: int = catalog.database.run(statement.sql, statement.values)[0][0]
    (mark if adds else renumber)(catalog, table)
    return Done(kind=statement.kind, changed=changed)


def _define(catalog: Catalog, statement: Statement) -> Done:
    if statement.on_dataset is not None:
        if statement.kind == "CREATE":
            catalog.create_dataset(statement.on_dataset, {}, "")
        else:
            catalog.drop_dataset(statement.on_dataset, with_tables=True)
        return Done(kind=f"{statement.kind}_SCHEMA")
    assert statement.target is not None  # noqa: S101  (DDL on tables has one)
    catalog.dataset(statement.target.home)
    before = catalog.find(statement.target)
    anew = statement.kind == "TRUNCATE" or statement.replaces
    if before is not None and statement.kind == "CREATE" and not statement.replaces:
        if statement.if_absent:
            return Done(kind="CREATE_TABLE")
        raise duplicate(f"Table {statement.target}")
    if before is not None and anew and not before.view:
        keep(catalog, before)
    catalog.database.run(statement.sql, statement.values)
    catalog.adopt(statement.target, view=statement.view)
    after = catalog.find(statement.target)
    if after is not None and not after.view:
        (renumber if anew else mark)(catalog, after)
        _let_expire(catalog, statement)
    return Done(kind=f"{statement.kind}_TABLE")


def _let_expire(catalog: Catalog, statement: Statement) -> None:
    if statement.expires and statement.target is not None:
        sql = f"SELECT epoch_ms(({statement.expires})::TIMESTAMPTZ)"
        moment_ms = catalog.database.run(sql)[0][0]
        catalog.patch(catalog.table(statement.target), {"expirationTime": str(moment_ms)})


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except foreign_errors() as error:
        raise invalid(str(error).partition("\n")[0], reason="invalidQuery") from error
