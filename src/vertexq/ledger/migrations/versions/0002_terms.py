"""Terms, policies, estimates, tenants, and jobs that nobody waits for."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.times import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; what was enqueued before has no terms."""
    for column in _submission_columns():
        op.add_column("vertexq_submissions", column)
    op.create_index("vertexq_submissions_deadline", "vertexq_submissions", ["deadline_at"])
    for column in _batch_columns():
        op.add_column("vertexq_batches", column)
    op.create_table(
        "vertexq_strays",
        sa.Column("job_name", sa.Text(), primary_key=True),
        sa.Column("batch_id", sa.Text(), sa.ForeignKey("vertexq_batches.id"), nullable=False),
        sa.Column("job_state", sa.Text(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.Column("cancelled_at", UtcDateTime()),
    )
    op.create_index("vertexq_strays_batch", "vertexq_strays", ["batch_id"])


def _submission_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("tenant", sa.Text(), nullable=False, server_default=""),
        sa.Column("template", sa.Text(), nullable=False, server_default=""),
        sa.Column("policy", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("terms", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("estimate", sa.JSON()),
        sa.Column("deadline_at", UtcDateTime()),
        sa.Column("rounds", sa.Integer(), nullable=False, server_default="0"),
    ]


def _batch_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("family", sa.Text(), nullable=False, server_default="gemini"),
        sa.Column("tenant", sa.Text(), nullable=False, server_default=""),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("estimate", sa.JSON()),
        sa.Column("estimate_pusd", _BIG),
        sa.Column("estimate_tokens", _BIG, nullable=False, server_default="0"),
        sa.Column("successor", sa.Text(), nullable=False, server_default=""),
    ]
