"""pgvector in a PostgreSQL: found, made where it may be, and otherwise done without."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import errors

from vertexq.stores import postgres_sql as sql
from vertexq.stores.layout import Layout
from vertexq.stores.postgres_vectors import ARRAY, EXTENSION, kind_of, type_sql

log = logging.getLogger(__name__)

_MAY_NOT = (psycopg.ProgrammingError, psycopg.NotSupportedError, errors.UndefinedFile)
"""What PostgreSQL raises for an extension that this role or this server may not have."""


def vector_type(connection: psycopg.Connection[tuple[Any, ...]], layout: Layout) -> str:
    """Return the type for a new column of vectors, in the transaction that is open.

    One of pgvector's when the URL says how many numbers there are, with the extension made where it is
    available and this role may; else ``real[]``, which a line in the log says.
    """
    if layout.vector is None:
        return ARRAY
    schema = _one(connection, sql.EXTENSION_SCHEMA, EXTENSION)
    why = "" if schema else _create(connection)
    schema = schema or _one(connection, sql.EXTENSION_SCHEMA, EXTENSION)
    if schema and _one(connection, sql.TYPE_OF, f'"{schema}".{kind_of(layout.vector)}'):
        return type_sql(layout.vector, schema)
    log.warning(
        "the table %s gets vectors as real[] of %d numbers: %s; to have pgvector's type, let the owner of "
        "the database run CREATE EXTENSION vector before the table is made",
        layout.table,
        layout.vector.dimensions,
        why or f"its extension vector has no type {kind_of(layout.vector)}",
    )
    return ARRAY


def _create(connection: psycopg.Connection[tuple[Any, ...]]) -> str:
    """Make the extension; return why it could not be."""
    if _one(connection, sql.EXTENSION_AVAILABLE, EXTENSION) is None:
        return "the server does not have the extension vector (pgvector)"
    try:
        with connection.transaction():
            home = _one(connection, sql.EXTENSION_HOME)
            connection.execute(f'CREATE EXTENSION IF NOT EXISTS {EXTENSION} WITH SCHEMA "{home}"'.encode())
    except _MAY_NOT as error:
        return f"this user may not make the extension vector ({error.diag.message_primary})"
    return ""


def _one(connection: psycopg.Connection[tuple[Any, ...]], query: str, *values: str) -> Any:
    found = connection.execute(query.encode(), values or None).fetchone()
    return found[0] if found else None
