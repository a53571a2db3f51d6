"""A price table's form: what a line of it holds, read with every fault named. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import orjson

from vertexq.errors import BadSettings

FAULTS_SHOWN = 10
_PUSD_PER_TOKEN_AT_1_USD = 1_000_000  # one US dollar per million tokens, in pico-dollars a token
_DEAREST_USD = 1_000_000
_LONGEST_TOKENS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One line: what a model's tokens cost from a day on, in pico-dollars a token, in a batch.

    ``until_day`` is the last day; None is no end. Without ``input`` and ``output`` nobody has said what a
    batch costs, without ``cached`` there is no rebate for cached tokens, without ``audio_input`` audio costs
    what text does.
    ``long_…`` is for rows with more than ``long_from_tokens`` prompt tokens. Online prices are those of rows
    that are finished online; without both of them such rows have no price.
    """

    model: str
    from_day: date
    until_day: date | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    audio_input: int | None = None
    online_input: int | None = None
    online_output: int | None = None
    online_audio_input: int | None = None
    long_from_tokens: int | None = None
    long_input: int | None = None
    long_output: int | None = None
    long_cached: int | None = None

    def holds(self, on: date) -> bool:
        """Tell whether the line is in force on a day."""
        return self.from_day <= on and (self.until_day is None or on <= self.until_day)

    def to_json(self) -> dict[str, object]:
        """Return the line as a price file has it: prices in US dollars per million tokens, as text."""
        said: dict[str, object] = {"model": self.model, "from": self.from_day.isoformat()}
        if self.until_day is not None:
            said["until"] = self.until_day.isoformat()
        for name in _PRICES:
            if (pusd := getattr(self, name)) is not None:
                said[name] = per_million(pusd)
            elif name in _NEEDED:
                said[name] = None
        if self.long_from_tokens is not None:
            said["long_from_tokens"] = self.long_from_tokens
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A price file: its lines, where it is from, when it was read, and its unit in words."""

    source: str
    read: str
    unit: str
    lines: tuple[PriceLine, ...]


_NEEDED = ("model", "from", "input", "output")
_PRICES = tuple(
    one.name
    for one in fields(PriceLine)
    if one.name not in ("model", "from_day", "until_day", "long_from_tokens")
)
_KNOWN = frozenset((*_NEEDED, "until", "long_from_tokens", "note", *_PRICES))


class _Wrong(Exception):
    """A field is wrong; the text says how."""


def read_table(raw: bytes, *, name: str) -> Table:
    """Read a price file; raise ``BadSettings`` that names every line and field that is wrong."""
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadSettings(f"{name}: line {error.lineno} is not valid JSON ({error.msg})") from None
    entries = cast("dict[str, Any]", said).get("prices") if isinstance(said, dict) else None
    if not isinstance(entries, list):
        raise BadSettings(f'{name}: a price table is an object with a list "prices"; {_START}')
    lines: list[PriceLine] = []
    faults: list[str] = []
    for number, entry in enumerate(cast("list[object]", entries), start=1):
        line = _line(entry, number)
        if isinstance(line, PriceLine):
            lines.append(line)
        else:
            faults.extend(line)
    faults.extend(_doubles(lines))
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise BadSettings(f"{name}: {'; '.join(faults[:FAULTS_SHOWN])}{more}")
    head = cast("dict[str, Any]", said)
    source, read, unit = (str(head.get(field, "")) for field in ("source", "read", "unit"))
    return Table(source=source, read=read, unit=unit, lines=tuple(lines))


_START = "`vertexq cost --prices --json` prints one to start from"


def per_million(pusd: int) -> str:
    """Return pico-dollars a token as US dollars per million tokens, without needless zeros."""
    text = f"{Decimal(pusd) / _PUSD_PER_TOKEN_AT_1_USD:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(entry: object, number: int) -> PriceLine | list[str]:
    """Return the line, or what is wrong with it."""
    if not isinstance(entry, dict):
        return [f"price {number} is no object"]
    given = cast("dict[str, Any]", entry)
    who = f"price {number} ({str(given.get('model', 'no model'))[:60]})"
    faults = [f'{who} has no "{field}"' for field in _NEEDED if field not in given]
    faults += [f'{who}: there is no field "{field[:40]}"' for field in given if field not in _KNOWN]
    values: dict[str, Any] = {}
    for field in sorted(_KNOWN & given.keys() - {"note"}):
        try:
            values[_NAME.get(field, field)] = _value(field, given[field])
        except _Wrong as error:
            faults.append(f'{who}: "{field}" {error}')
    faults = faults or [f"{who}: {fault}" for fault in _between(values)]
    return faults or PriceLine(**values)


_NAME = {"from": "from_day", "until": "until_day"}


def _value(field: str, value: object) -> object:
    if field == "model":
        return _model(value)
    if field in _NAME:
        return _day(value)
    if value is None and field in _NEEDED:
        return None
    return _count(value) if field == "long_from_tokens" else _pusd(value)


def _model(value: object) -> str:
    if not isinstance(value, str) or not value or "/" in value or "@" in value:
        raise _Wrong("must be a model's short name, without path and version")
    return value


def _day(value: object) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _Wrong(f"must be a day such as 2026-11-21, not {str(value)[:40]!r}") from None


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LONGEST_TOKENS:
        raise _Wrong(f"must be a number of tokens, not {str(value)[:40]!r}")
    return value


def _pusd(value: object) -> int:
    """Read US dollars per million tokens, as text or as a number, exactly."""
    try:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise InvalidOperation  # noqa: TRY301
        pusd = Decimal(str(value)) * _PUSD_PER_TOKEN_AT_1_USD
        whole = pusd == pusd.to_integral_value()
    except InvalidOperation:
        whole, pusd = False, Decimal(-1)
    if not whole or not 0 <= pusd <= _DEAREST_USD * _PUSD_PER_TOKEN_AT_1_USD:
        raise _Wrong(
            "must be US dollars per million tokens, at least 0 and with at most six decimals, "
            f"not {str(value)[:40]!r}"
        )
    return int(pusd)


def _between(values: Mapping[str, Any]) -> Iterator[str]:
    """Compare what must fit together."""
    until = values.get("until_day")
    if until is not None and until < values["from_day"]:
        yield f'"until" ({until}) is before "from" ({values["from_day"]})'
    if (values["input"] is None) != (values["output"] is None):
        yield 'of "input" and "output" one is null; both are where nobody has said what a batch costs'
    if values["input"] is None and {"cached", "audio_input", "long_from_tokens"} & values.keys():
        yield 'without an "input" there are no other prices of a batch'
    if "long_from_tokens" not in values and any(name.startswith("long_") for name in values):
        yield '"long_…" prices need "long_from_tokens"'


def _doubles(lines: list[PriceLine]) -> Iterator[str]:
    seen: set[tuple[str, date]] = set()
    for line in lines:
        if (line.model, line.from_day) in seen:
            yield f"two prices of {line.model} begin on {line.from_day}"
        seen.add((line.model, line.from_day))
