"""Whose price a tuned model has, and when a delivery failed last."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.times import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("vertexq_batches", sa.Column("priced_as", sa.Text(), nullable=False, server_default=""))
    op.add_column("vertexq_deliveries", sa.Column("failed_at", UtcDateTime()))
