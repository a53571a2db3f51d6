"""Indexes for the queue of waiting batches, for what was sent lately, and for deadlines to come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_READY = sa.text("state = 'ready'")
_OPEN = sa.text("deadline_at IS NOT NULL AND finished_at IS NULL")


def upgrade() -> None:
    """Create them."""
    op.create_index(
        "vertexq_batches_ready",
        "vertexq_batches",
        ["project", "location", "family", "next_action_at", "tenant"],
        sqlite_where=_READY,
        postgresql_where=_READY,
    )
    op.create_index("vertexq_batches_sent", "vertexq_batches", ["project", "sent_at"])
    op.drop_index("vertexq_submissions_deadline", "vertexq_submissions")
    op.create_index(
        "vertexq_submissions_deadline",
        "vertexq_submissions",
        ["deadline_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
