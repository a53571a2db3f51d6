"""Single values: from a loaded line into DuckDB, and from DuckDB into BigQuery's JSON. No I/O.

How values are written in JSON: https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
and https://docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-json.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from vertexq.simulator.bigquery.fields import Field

_INT64 = range(-(2**63), 2**63)
_MICROSECOND = 1_000_000


class BadCell(ValueError):
    """A value that its column cannot hold; the message is BigQuery's."""


def cell_in(field: Field, value: Any) -> object:
    """Return ``value``, of a loaded JSON row, as a parameter for ``cell_sql``; raise ``BadCell``."""
    if value is None and not field.repeated:
        if field.mode == "REQUIRED":
            raise BadCell(f"Only optional fields can be set to NULL. Field: {field.name}; Value: NULL")
        return None
    if field.repeated:
        if value is not None and not isinstance(value, list):
            raise BadCell(f"Repeated field must be imported as a JSON array. Field: {field.name}.")
        return json.dumps([_plain(field, each) for each in cast("list[object]", value or [])], default=str)
    made = _plain(field, value)
    return json.dumps(made, default=str) if field.kind == "RECORD" else made


def cell_sql(field: Field, parameter: str) -> str:
    """Return the SQL that makes rows of the list of values in ``parameter``."""
    if field.repeated or field.kind == "RECORD":
        return f"unnest({parameter}::VARCHAR[])::JSON::{field.sql_type}"
    if field.kind in {"INTEGER", "FLOAT", "BOOLEAN", "BYTES", "STRING"}:
        return f"unnest({parameter}::{field.sql_type}[])"
    return f"unnest({parameter}::VARCHAR[])::{field.sql_type}"


def _plain(field: Field, value: Any) -> Any:
    if field.kind == "RECORD":
        if not isinstance(value, dict):
            raise BadCell(f"{field.name}: a record must be a JSON object")
        row = cast("dict[str, object]", value)
        return {each.name: _nested(each, row.get(each.name)) for each in field.fields}
    try:
        return _READ[field.kind](value)
    except (ValueError, TypeError, InvalidOperation, OverflowError, binascii.Error) as error:
        raise BadCell(
            f"Could not convert value to {field.kind.lower()}. Field: {field.name}; Value: {str(value)[:100]}"
        ) from error


def _nested(field: Field, value: Any) -> Any:
    if field.kind == "BYTES":
        raise BadCell(f"{field.name}: the simulator takes BYTES in columns of their own only")
    if field.repeated:
        return [_plain(field, each) for each in _many(value)]
    return None if value is None else _plain(field, value)


def _many(value: Any) -> list[Any]:
    return list(value or ())


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not whole")
    number = int(value)
    if number not in _INT64:
        raise ValueError("out of range")
    return number


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("a boolean")
    return float(value)


def _boolean(value: Any) -> bool:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    word = str(value).lower()
    if word not in known:
        raise ValueError("no boolean")
    return known[word]


def _string(value: Any) -> str:
    if isinstance(value, dict | list):
        raise TypeError("not text")
    return value if isinstance(value, str) else json.dumps(value)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _timestamp(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):  # seconds since 1970
        return datetime.fromtimestamp(value, UTC).isoformat()
    text = str(value).strip()
    read = datetime.fromisoformat(text.removesuffix(" UTC").strip())
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat()


def _number(value: Any) -> str:
    return format(Decimal(str(value)), "f")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_READ: dict[str, Callable[[Any], Any]] = {
    "STRING": _string,
    "GEOGRAPHY": _string,
    "BYTES": _bytes,
    "INTEGER": _integer,
    "FLOAT": _float,
    "NUMERIC": _number,
    "BIGNUMERIC": _number,
    "BOOLEAN": _boolean,
    "TIMESTAMP": _timestamp,
    "DATE": lambda value: date.fromisoformat(str(value)).isoformat(),
    "TIME": lambda value: time.fromisoformat(str(value)).isoformat(),
    "DATETIME": lambda value: datetime.fromisoformat(str(value)).replace(tzinfo=None).isoformat(),
    "JSON": _json,
}


def row_out(fields: Sequence[Field], row: Sequence[Any], *, whole_instants: bool) -> dict[str, object]:
    """Return a row as ``{"f": [{"v": …}]}``; with ``whole_instants`` TIMESTAMPs are whole microseconds."""
    pairs = zip(fields, row, strict=True)
    return {"f": [{"v": cell_out(field, value, whole_instants=whole_instants)} for field, value in pairs]}


def cell_out(field: Field, value: Any, *, whole_instants: bool) -> object:
    """Return one value as ``tabledata.list`` and ``getQueryResults`` write it: text, or nested."""
    if field.repeated:
        one = Field(name=field.name, kind=field.kind, fields=field.fields)
        return [{"v": cell_out(one, each, whole_instants=whole_instants)} for each in _many(value)]
    if value is None:
        return None
    if field.kind == "RECORD":
        record = cast("Mapping[str, Any]", value)
        return row_out(
            field.fields, [record[each.name] for each in field.fields], whole_instants=whole_instants
        )
    if field.kind == "TIMESTAMP":
        return _instant_out(value, whole=whole_instants)
    write = _WRITE.get(field.kind)
    return write(value) if write else str(value)


def _instant_out(value: datetime, *, whole: bool) -> str:
    since = value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (since.days * 86_400 + since.seconds) * _MICROSECOND + since.microseconds
    return str(micros) if whole else _scientific(Decimal(micros) / _MICROSECOND)


def _scientific(seconds: Decimal) -> str:
    """Write seconds as BigQuery does: ``1.732181472345678E9``."""
    mantissa, _, exponent = f"{seconds:E}".partition("E")
    digits = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def _float_out(value: Any) -> str:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    return ("-Infinity" if number < 0 else "Infinity") if math.isinf(number) else repr(number)


def _number_out(value: Any) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_WRITE: dict[str, Callable[[Any], str]] = {
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "FLOAT": _float_out,
    "BOOLEAN": lambda value: str(value).lower(),
    "NUMERIC": _number_out,
    "BIGNUMERIC": _number_out,
    "DATETIME": lambda value: value.isoformat(),
    "DATE": lambda value: value.isoformat(),
    "TIME": lambda value: value.isoformat(),
}
