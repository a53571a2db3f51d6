"""Run the migrations on the connection that ``vertexq.ledger.migrate`` passes in."""

from alembic import context

from vertexq.ledger.migrate import VERSION_TABLE
from vertexq.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=False,  # the caller holds the transaction, on SQLite as well
)
context.run_migrations()
