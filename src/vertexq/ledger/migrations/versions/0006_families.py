"""Every model family: how a submission's rows are read, where its jobs write, and rows answered online."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a submission from before them is read as its model says."""
    for name, kind, empty in (
        ("family", sa.Text(), ""),
        ("parameters", sa.JSON(), "{}"),
        ("destination", sa.Text(), ""),
    ):
        op.add_column("vertexq_submissions", sa.Column(name, kind, nullable=False, server_default=empty))
    op.add_column(
        "vertexq_batches", sa.Column("online", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "vertexq_batches",
        sa.Column("carried", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    )
