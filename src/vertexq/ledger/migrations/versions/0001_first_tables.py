"""The first tables."""

import sqlalchemy as sa
from alembic import op

from vertexq.ledger.times import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_WAITING = sa.text("next_action_at IS NOT NULL")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "vertexq_audit",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("vertexq_audit_record", "vertexq_audit", ["record", "record_id", "id"], unique=False)
    op.create_table(
        "vertexq_beats",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "vertexq_submissions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key_field", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("rows", _BIG, nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("quarantined_lines", _BIG, nullable=False),
        sa.Column("usage", sa.JSON(), nullable=False),
        sa.Column("cost_pusd", _BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("next_action_at", UtcDateTime(), nullable=True),
        sa.Column("hint_sent_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("fence", _BIG, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("vertexq_submissions_created", "vertexq_submissions", ["created_at"], unique=False)
    op.create_index(
        "vertexq_submissions_due",
        "vertexq_submissions",
        ["next_action_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_table(
        "vertexq_batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("rows", _BIG, nullable=False),
        sa.Column("input_uri", sa.Text(), nullable=False),
        sa.Column("input_generation", _BIG, nullable=False),
        sa.Column("input_bytes", _BIG, nullable=False),
        sa.Column("manifest_uri", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("output_prefix", sa.Text(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("job_state", sa.Text(), nullable=False),
        sa.Column("job_state_since", UtcDateTime(), nullable=True),
        sa.Column("job_error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("output_directory", sa.Text(), nullable=False),
        sa.Column("stats", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("quarantined_lines", _BIG, nullable=False),
        sa.Column("usage", sa.JSON(), nullable=False),
        sa.Column("cost_pusd", _BIG, nullable=False),
        sa.Column("found", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("next_action_at", UtcDateTime(), nullable=True),
        sa.Column("hint_sent_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("fence", _BIG, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["vertexq_submissions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "vertexq_batches_due",
        "vertexq_batches",
        ["next_action_at"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    op.create_index(
        "vertexq_batches_place",
        "vertexq_batches",
        ["project", "location", "state", "created_at"],
        unique=False,
    )
    op.create_index(
        "vertexq_batches_submission", "vertexq_batches", ["submission_id", "ordinal"], unique=True
    )
    op.create_table(
        "vertexq_spool",
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["vertexq_submissions.id"],
        ),
        sa.PrimaryKeyConstraint("submission_id", "seq"),
    )
    op.create_table(
        "vertexq_ranges",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("generation", _BIG, nullable=False),
        sa.Column("start", _BIG, nullable=False),
        sa.Column("end", _BIG, nullable=False),
        sa.Column("size_bytes", _BIG, nullable=False),
        sa.Column("crc32c", sa.Text(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["vertexq_batches.id"],
        ),
        sa.PrimaryKeyConstraint("batch_id", "object_name", "generation", "start"),
    )
