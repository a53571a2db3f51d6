"""Orders to endpoints, and Google's operations that carry them out."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.prose import Prose
from vertexq.ledger.times import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITING = sa.text("next_action_at IS NOT NULL")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "vertexq_operations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False, server_default=""),
        sa.Column("google_name", sa.Text(), nullable=False, server_default=""),
        sa.Column("stage", sa.Text(), nullable=False, server_default=""),
        sa.Column("looks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", Prose(), nullable=False, server_default=""),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime()),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("next_action_at", UtcDateTime()),
        sa.Column("hint_sent_at", UtcDateTime()),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("fence", _BIG, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index(
        "vertexq_operations_due",
        "vertexq_operations",
        ["next_action_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index("vertexq_operations_created", "vertexq_operations", ["created_at"])
