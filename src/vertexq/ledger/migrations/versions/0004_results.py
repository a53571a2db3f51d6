"""Ranges that several workers read at once, rounds of retries, and whom to tell at the end."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.times import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; a range keeps the lease of its batch, whose token it must not fall behind."""
    op.add_column(
        "vertexq_submissions", sa.Column("on_complete", sa.Text(), nullable=False, server_default="")
    )
    op.add_column("vertexq_submissions", sa.Column("retry", sa.JSON()))
    op.add_column("vertexq_batches", sa.Column("round", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "vertexq_batches", sa.Column("repeats", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for column in _range_columns():
        op.add_column("vertexq_ranges", column)
    op.execute(
        """UPDATE vertexq_ranges SET
            id = batch_id || ' ' || object_name || '#' || generation || '@' || start,
            fence = (SELECT b.fence FROM vertexq_batches b WHERE b.id = batch_id)"""
    )
    op.create_index("vertexq_ranges_id", "vertexq_ranges", ["id"], unique=True)


def _range_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Text(), nullable=False, server_default=""),
        sa.Column("early", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("next_action_at", UtcDateTime()),
        sa.Column("hint_sent_at", UtcDateTime()),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("fence", _BIG, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    ]
