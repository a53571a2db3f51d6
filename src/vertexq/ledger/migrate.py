"""Bring a ledger's tables up to date with Alembic; several processes may try at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from vertexq.errors import BadSettings
from vertexq.ledger.translation import without_password

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "vertexq_alembic_version"
HEAD = "0008"
"""The revision of the tables in ``schema.py``."""
_LOCK = 0x7665727465787131  # "vertexq1": one number for one lock in the whole database


def upgrade(engine: Engine) -> None:
    """Apply what is missing in one transaction, under a lock; cheap when nothing is.

    Raise ``BadSettings`` when a newer vertexq has been here.
    """
    with engine.connect().execution_options(vertexq_reading=True) as connection:
        if current(connection) == HEAD:
            return
    with engine.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if current(connection) != HEAD:
            _apply(connection)


def check(engine: Engine) -> None:
    """Raise ``BadSettings`` unless the tables are there and are this version's."""
    with engine.connect().execution_options(vertexq_reading=True) as connection:
        found = current(connection)
    if found != HEAD:
        raise BadSettings(
            f"the ledger at {without_password(engine)} has {f'revision {found}' if found else 'no tables'}, "
            f"this vertexq needs revision {HEAD}; start a worker, or run `vertexq status`, to make it so"
        )


def current(connection: Connection) -> str | None:
    """Return the revision of the tables, or None when there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(
        text(f"SELECT version_num FROM {VERSION_TABLE}")
    ).scalar_one_or_none()
    return found


def configuration() -> Config:
    """Return Alembic's settings: where the migrations are."""
    from alembic.config import Config  # noqa: PLC0415  (only the first opening needs it)

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _apply(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise BadSettings(
            f"the ledger at {without_password(connection.engine)} has revision {current(connection)}, which "
            "this vertexq does not know; a newer vertexq made it, so upgrade this one"
        ) from error
