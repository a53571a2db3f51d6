"""What is to be told to others, and how far webhook stores are: both in the ledger's own transactions."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.prose import Prose
from vertexq.ledger.times import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITING = sa.text("next_action_at IS NOT NULL")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "vertexq_deliveries",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("size_bytes", _BIG, nullable=False, server_default="0"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("delivered_at", UtcDateTime()),
        sa.Column("gone", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("reason", Prose(), nullable=False, server_default=""),
        sa.Column("next_action_at", UtcDateTime()),
        sa.Column("hint_sent_at", UtcDateTime()),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("fence", _BIG, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index(
        "vertexq_deliveries_due",
        "vertexq_deliveries",
        ["target", "next_action_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("vertexq_deliveries_submission", "vertexq_deliveries", ["submission_id", "target"])
    op.create_table(
        "vertexq_rests",
        sa.Column("target", sa.Text(), primary_key=True),
        sa.Column("until", UtcDateTime(), nullable=False),
    )
    op.create_table(
        "vertexq_webhook_progress",
        sa.Column("store", sa.Text(), primary_key=True),
        sa.Column("range_id", sa.Text(), primary_key=True),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("position", _BIG, nullable=False),
        sa.Column("fence", _BIG, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )
