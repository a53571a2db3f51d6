"""Query parameters: from BigQuery's JSON into Python's values for DuckDB. No I/O.

https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from vertexq.simulator.bigquery.names import Json, inner, invalid, listed


def parameters_from(query: Json) -> dict[str, object]:
    """Return the parameters of a query by name, positional ones by number from "1"; raise ``Refused``."""
    given = [inner({"each": each}, "each") for each in listed(query.get("queryParameters"))]
    return {
        str(each.get("name") or number): _value(
            inner(each, "parameterType"), inner(each, "parameterValue"), str(each.get("name") or number)
        )
        for number, each in enumerate(given, 1)
    }


def _value(kind: Json, value: Json, name: str) -> object:
    word = str(kind.get("type"))
    if word == "ARRAY":
        one = inner(kind, "arrayType")
        values = [inner({"each": each}, "each") for each in listed(value.get("arrayValues"))]
        return [_value(one, each, name) for each in values]
    given = value.get("value")
    if given is None:
        return None
    read = _READ.get(word)
    if read is None:
        raise invalid(f"Invalid value for type: {word} of parameter {name}", reason="invalidQuery")
    try:
        return read(str(given))
    except (ValueError, ArithmeticError) as error:
        raise invalid(f"Invalid value for parameter {name}: not a {word}", reason="invalidQuery") from error


def _instant(text: str) -> datetime:
    read = datetime.fromisoformat(text.removesuffix(" UTC"))
    return read if read.tzinfo else read.replace(tzinfo=UTC)


_READ: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "INT64": int,
    "INTEGER": int,
    "FLOAT64": float,
    "FLOAT": float,
    "BOOL": lambda text: text.lower() == "true",
    "BOOLEAN": lambda text: text.lower() == "true",
    "BYTES": base64.b64decode,
    "NUMERIC": Decimal,
    "TIMESTAMP": _instant,
    "DATETIME": lambda text: datetime.fromisoformat(text).replace(tzinfo=None),
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "JSON": str,
}
