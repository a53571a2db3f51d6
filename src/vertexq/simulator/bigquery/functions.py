"""Functions of GoogleSQL that DuckDB has not, or has otherwise: macros, and statements that call them.

https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/json_functions
"""

from __future__ import annotations

import importlib
from typing import Any

_PARSED = "TRY_CAST(value AS JSON)"
_BODIES = {
    "gsql_parse_json(value)": _PARSED,
    "gsql_json_query(value, path)": f"json_extract({_PARSED}, path)",
    "gsql_json_value(value, path)": f"json_value({_PARSED}, path) ->> '$'",
    "gsql_json_array(value, path)": f"TRY_CAST(json_extract({_PARSED}, path) AS JSON[])",
    "gsql_json_type(value)": (
        "CASE json_type(value) WHEN 'VARCHAR' THEN 'string' WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN "
        "'array' WHEN 'NULL' THEN 'null' WHEN 'BOOLEAN' THEN 'boolean' "
        "ELSE IF(value IS NULL, NULL, 'number') END"
    ),
    "gsql_to_json_string(value)": "COALESCE(CAST(to_json(value) AS VARCHAR), 'null')",
    "gsql_byte_length(value)": "strlen(CAST(value AS VARCHAR))",  # of STRING only
}
MACROS = tuple(f"CREATE OR REPLACE TEMP MACRO {name} AS {body}" for name, body in _BODIES.items())
"""What a connection must know before it runs a statement."""

_NAMES = {
    "JSONExtract": "gsql_json_query",
    "JSONExtractScalar": "gsql_json_value",
    "JSONExtractArray": "gsql_json_array",
    "JSONType": "gsql_json_type",
    "JSONFormat": "gsql_to_json_string",
    "ByteLength": "gsql_byte_length",
}


def call_macros(tree: Any) -> None:
    """Let a statement call the macros in the place of GoogleSQL's functions, the innermost first."""
    exp: Any = importlib.import_module("sqlglot.expressions")
    for unnest in list(tree.find_all(exp.Unnest)):
        _count_from_zero(exp, unnest)
    for node in reversed(list(tree.walk())):
        name = _NAMES.get(type(node).__name__)
        if isinstance(node, exp.IntDiv):  # DIV(a + b, c) is no a + b // c
            node.set("this", exp.paren(node.this))
            node.set("expression", exp.paren(node.expression))
        if isinstance(node, exp.SafeFunc) and isinstance(node.this, exp.ParseJSON):
            node.replace(exp.Anonymous(this="gsql_parse_json", expressions=[node.this.this]))
        elif name is not None:
            path = node.args.get("expression")
            given = [node.this] if path is None else [node.this, path]
            node.replace(exp.Anonymous(this=name, expressions=given))


def _count_from_zero(exp: Any, unnest: Any) -> None:
    """Let what ``WITH OFFSET`` counts begin with 0: DuckDB's ordinality begins with 1."""
    offset, select = unnest.args.get("offset"), unnest.find_ancestor(exp.Select)
    if not isinstance(offset, exp.Identifier) or select is None:
        return
    for column in list(select.find_all(exp.Column)):
        if column.name == offset.name and not column.table:
            less = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
            column.replace(exp.alias_(less, offset.name) if column.parent is select else less)
