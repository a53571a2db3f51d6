"""Bring a ledger's tables up to date with Alembic; several processes may try at once."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

VERSION_TABLE = "vertexq_alembic_version"
_LOCK = 0x7665727465787131  # "vertexq1": one number for one lock in the whole database


def upgrade(engine: Engine) -> None:
    """Apply what is missing in one transaction, under a lock; cheap when nothing is."""
    with as_file(files("vertexq.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with engine.connect() as connection:
            if current(connection) == ScriptDirectory.from_config(config).get_current_head():
                return
        with engine.begin() as connection:
            if connection.dialect.name != "sqlite":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """Return the revision of the tables, or None when there are none."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
