"""What PostgreSQL's errors mean for a store, and which rows PostgreSQL cannot hold. No I/O."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from operator import itemgetter

import orjson
import psycopg

from vertexq.errors import StoreRefused, Unreachable
from vertexq.results import Row
from vertexq.stores.base import RowsRefused
from vertexq.stores.columns import JSON_COLUMNS
from vertexq.stores.vectors import UnfitVector

_UNREACHABLE = ("08", "53", "57", "58", "XX")
"""SQLSTATE classes of a server that is gone, full, going down or broken."""
_LATER = ("25P03", "55P03")
"""SQLSTATEs of a transaction that lay idle, and of a lock that was not to be had in time."""
_ROWS_REFUSED = ("22", "23", "54")
"""SQLSTATE classes of data: exceptions, constraints, limits."""
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


@contextmanager
def translated(where: str, *, lost: Callable[[], None]) -> Generator[None]:
    """Raise our errors for psycopg's; ``lost`` is called when the connection is of no more use."""
    try:
        yield
    except UnfitVector as unfit:
        raise RowsRefused(f"{where} cannot hold a row: {unfit}") from unfit
    except (UnicodeEncodeError, OverflowError, struct.error) as error:
        raise RowsRefused(f"{where} cannot hold a row: {type(error).__name__}") from error
    except psycopg.Error as error:
        if is_about_rows(error):
            raise RowsRefused(f"{where} cannot hold a row: {reason(error)}") from error
        if _is_outage(error):
            lost()
            raise Unreachable(
                f"cannot use {where}: {reason(error)}; check that it runs, its address, user and password"
            ) from error
        raise StoreRefused(f"{where} refused: {reason(error)}; check rights and tables") from error


def is_about_rows(error: psycopg.Error) -> bool:
    """Tell whether other rows might have been taken."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in _ROWS_REFUSED


def _is_outage(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate in _LATER or error.sqlstate[:2] in (*_UNREACHABLE, "40")


def reason(error: psycopg.Error) -> str:
    """Return the server's sentence without its DETAIL and CONTEXT, which quote rows.

    Of errors about data even the sentence may quote a value (``invalid input syntax for type uuid: "…"``).
    """
    said = error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__
    return said.partition(': "')[0] if is_about_rows(error) else said


def nul(rows: Iterable[Row]) -> str:
    """Say which rows hold a NUL character; "" when none does."""
    for row in rows:
        if any(isinstance(value, str) and "\x00" in value for value in row):
            return "PostgreSQL keeps no NUL character in text"
    return ""


def unfit_json(rows: Sequence[Row]) -> str:
    """Find what the type ``json`` takes in and then fails on at every look."""
    for at in JSON_COLUMNS:
        for text in map(itemgetter(at), rows):
            # one byte is looked for much faster than two
            if text is not None and b"\\" in text and b"\\u" in text and (why := _unfit(text)):
                return why
    return ""


def _unfit(text: bytes) -> str:
    if _NUL_ESCAPE.search(text):
        return "PostgreSQL keeps no NUL character in JSON"
    if _SURROGATE_ESCAPE.search(text) and not _is_json(text):
        return "PostgreSQL keeps no half of a surrogate pair in JSON"
    return ""


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
