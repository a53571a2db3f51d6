"""GoogleSQL into DuckDB's SQL, with the tables found in the catalog."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.functions import call_macros
from vertexq.simulator.bigquery.history import as_of
from vertexq.simulator.bigquery.names import DatasetName, TableName, invalid

_DML = {"Insert": "INSERT", "Update": "UPDATE", "Delete": "DELETE", "Merge": "MERGE"}
_DDL = {"Create": "CREATE", "Drop": "DROP", "Alter": "ALTER", "TruncateTable": "TRUNCATE"}
_PASSED_OVER = {"Transaction", "Commit", "Semicolon"}  # a script is one transaction anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. ``target`` is what it changes: a table, or (``on_dataset``) a whole dataset.

    ``expires`` is DuckDB's SQL for when a table that it makes expires, or empty. A table that is there may be
    replaced when it ``replaces``, and stays when it is made only ``if_absent``.
    """

    kind: str
    sql: str
    values: dict[str, object]
    target: TableName | None = None
    on_dataset: DatasetName | None = None
    view: str = ""
    expires: str = ""
    replaces: bool = False
    if_absent: bool = False

    @property
    def selects(self) -> bool:
        """Whether it only reads."""
        return self.kind == "SELECT"

    @property
    def changes_rows(self) -> bool:
        """Whether it is DML."""
        return self.kind in _DML.values()


class Translator:
    """Turns queries of ``project`` into statements; ``default`` is where bare tables are looked for."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        project: str,
        default: DatasetName | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        self._catalog = catalog
        self._project = project
        self._default = default
        self._values = dict(values or {})
        self._exp: Any = importlib.import_module("sqlglot.expressions")

    def statements(self, query: str) -> list[Statement]:
        """Return the statements of ``query``; raise ``Refused`` (400) for what is no GoogleSQL."""
        parsed = [tree for tree in _parsed(query) if type(tree).__name__ not in _PASSED_OVER]
        if not parsed:
            raise invalid("Syntax error: Unexpected end of statement", reason="invalidQuery")
        return [self._statement(tree) for tree in parsed]

    def _statement(self, tree: Any) -> Statement:
        name = type(tree).__name__
        kind = _DML.get(name) or _DDL.get(name) or ("SELECT" if isinstance(tree, self._exp.Query) else "")
        if not kind:
            raise invalid(f"Statement not supported by the simulator: {name}", reason="invalidQuery")
        call_macros(tree)
        for each in tree.find_all(self._exp.CTE):
            each.args["materialized"] = False  # BigQuery runs it once for each place that names it
        expires = _expiration(self._exp, tree) if name == "Create" else ""
        if name == "Create":
            tree.set("properties", None)  # how a table is partitioned changes nothing here
        view = tree.expression.sql("bigquery") if name == "Create" and tree.kind == "VIEW" else ""
        target, dataset = self._target(tree, kind)
        self._resolve(tree, made=kind == "CREATE")
        _name_columns(self._exp, tree)
        used = {str(each.name) for each in tree.find_all(self._exp.Parameter)}
        numbered = len(list(tree.find_all(self._exp.Placeholder)))
        used |= {str(number) for number in range(1, numbered + 1)}
        for number, each in enumerate(list(tree.find_all(self._exp.Placeholder)), 1):
            each.replace(self._exp.Parameter(this=self._exp.var(str(number))))
        return Statement(
            kind=kind,
            sql=_duckdb(tree),
            values=self._used(used),
            target=target,
            on_dataset=dataset,
            view=view,
            expires=expires,
            replaces=bool(tree.args.get("replace")),
            if_absent=bool(tree.args.get("exists")),
        )

    def _used(self, names: set[str]) -> dict[str, object]:
        missing = names - self._values.keys()
        if missing:
            raise invalid(f"Query parameter '{min(missing)}' not found", reason="invalidQuery")
        return {name: self._values[name] for name in names}

    def _target(self, tree: Any, kind: str) -> tuple[TableName | None, DatasetName | None]:
        if kind == "SELECT":
            return None, None
        if kind == "TRUNCATE":
            return self._name(tree.expressions[0]), None
        found = tree.find(self._exp.Table)
        if str(tree.args.get("kind") or "").upper() == "SCHEMA":
            project = found.catalog or found.db or self._project
            return None, DatasetName(project=project, dataset=found.db if found.catalog else found.name)
        return self._name(found), None

    def _name(self, table: Any) -> TableName:
        """Return which table is meant; raise ``Refused`` (400) for one without a dataset."""
        if not table.db and self._default is None:
            raise invalid(
                f'Table "{table.name}" must be qualified with a dataset (e.g. dataset.table).',
                reason="invalidQuery",
            )
        if not table.db and self._default is not None:
            home = self._default
            return TableName(project=home.project, dataset=home.dataset, table=table.name)
        return TableName(project=table.catalog or self._project, dataset=table.db, table=table.name)

    def _resolve(self, tree: Any, *, made: bool) -> None:
        own = {str(each.alias) for each in tree.find_all(self._exp.CTE)}
        for number, table in enumerate(list(tree.find_all(self._exp.Table))):
            if not table.name or (not table.db and table.name in own):
                continue
            name = self._name(table)
            if not (made and number == 0) and not isinstance(tree, self._exp.Drop):
                self._check(name)
            self._point(table, name)

    def _check(self, name: TableName) -> None:
        if name.table.startswith("INFORMATION_SCHEMA."):
            raise invalid("INFORMATION_SCHEMA is not simulated", reason="invalidQuery")
        self._catalog.table(name)

    def _point(self, table: Any, name: TableName) -> None:
        """Let a table of the statement be DuckDB's, as it was at the time that the statement asks for."""
        moment = table.args.get("version") or table.args.get("when")
        table.set("version", None)
        table.set("when", None)
        if moment is None:
            table.set("catalog", None)
            table.set("db", self._exp.to_identifier(str(name.home), quoted=True))
            table.set("this", self._exp.to_identifier(name.table, quoted=True))
            return
        past = as_of(self._catalog.table(name), self._moment_us(moment.expression))
        inside = importlib.import_module("sqlglot").parse_one(past, read="duckdb").unnest()
        table.replace(inside.subquery(alias=table.alias or name.table))

    def _moment_us(self, tree: Any) -> int:
        used = {str(each.name) for each in tree.find_all(self._exp.Parameter)}
        sql = f"SELECT epoch_us(({_duckdb(tree)})::TIMESTAMPTZ)"
        moment: int = self._catalog.database.run(sql, self._used(used))[0][0]
        return moment


def _parsed(query: str) -> list[Any]:
    sqlglot: Any = importlib.import_module("sqlglot")
    try:
        return [tree for tree in sqlglot.parse(query, read="bigquery") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        said: list[dict[str, Any]] = getattr(error, "errors", [])
        where = f" at [{said[0]['line']}:{said[0]['col']}]" if said else ""
        what = said[0]["description"] if said else str(error)
        raise invalid(f"Syntax error: {what}{where}", reason="invalidQuery") from error


def _name_columns(exp: Any, tree: Any) -> None:
    """Give columns without a name the ones that BigQuery gives: ``f0_``, ``f1_``."""
    if not isinstance(tree, exp.Select):
        return
    number = 0
    for each in list(tree.expressions):
        if not isinstance(each, exp.Alias | exp.Column | exp.Star | exp.Dot):
            each.replace(exp.alias_(each.copy(), f"f{number}_"))
            number += 1


def _expiration(exp: Any, tree: Any) -> str:
    """Return the SQL of the option ``expiration_timestamp``, empty without one."""
    for each in tree.find_all(exp.Property):
        if str(each.this).strip("'\"").lower() == "expiration_timestamp":
            return _duckdb(each.args["value"])
    return ""


def _duckdb(tree: Any) -> str:
    sqlglot: Any = importlib.import_module("sqlglot")
    try:
        sql: str = tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.errors.UnsupportedError as error:
        raise invalid(f"Not supported by the simulator: {error}", reason="invalidQuery") from error
    return sql
