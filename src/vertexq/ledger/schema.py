"""The ledger's tables. ``docs/ledger.md`` says what each column means; migrations build them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from vertexq.ledger.times import UtcDateTime

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows up only in a plain INTEGER


def _lease_columns() -> list[Column[object]]:
    """Return what every record that is worked on carries: what is next, and who works on it."""
    return [
        Column("next_action_at", UtcDateTime),
        Column("hint_sent_at", UtcDateTime),
        Column("lease_owner", String(128)),
        Column("lease_until", UtcDateTime),
        Column("fence", _BIG, nullable=False, default=0),
        Column("attempts", Integer, nullable=False, default=0),
    ]


def _count_columns() -> list[Column[object]]:
    return [
        Column("counts", JSON, nullable=False),
        Column("quarantined_lines", _BIG, nullable=False, default=0),
        Column("usage", JSON, nullable=False),
        Column("cost_pusd", _BIG, nullable=False, default=0),
    ]


submissions = Table(
    "vertexq_submissions",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("version", _BIG, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("source_kind", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("key_field", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("rows", _BIG),
    *_count_columns(),
    Column("reason", Text, nullable=False, default=""),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    *_lease_columns(),
    Index("vertexq_submissions_due", "next_action_at"),
    Index("vertexq_submissions_created", "created_at"),
)

batches = Table(
    "vertexq_batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("submission_id", String(63), ForeignKey("vertexq_submissions.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", _BIG, nullable=False),
    Column("model", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("rows", _BIG, nullable=False),
    Column("input_uri", Text, nullable=False),
    Column("input_generation", _BIG, nullable=False),
    Column("input_bytes", _BIG, nullable=False),
    Column("manifest_uri", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("output_prefix", Text, nullable=False, default=""),
    Column("sent_at", UtcDateTime),
    Column("looks", Integer, nullable=False, default=0),
    Column("job_name", Text, nullable=False, default=""),
    Column("job_state", String(64), nullable=False, default=""),
    Column("job_state_since", UtcDateTime),
    Column("job_error", JSON(none_as_null=True)),
    Column("output_directory", Text, nullable=False, default=""),
    Column("stats", JSON, nullable=False),
    *_count_columns(),
    Column("found", LargeBinary, nullable=False, default=b""),
    Column("reason", Text, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    *_lease_columns(),
    Index("vertexq_batches_due", "next_action_at"),
    Index("vertexq_batches_submission", "submission_id", "ordinal", unique=True),
    Index("vertexq_batches_slots", "project", "location", "state"),
)

ranges = Table(
    "vertexq_ranges",
    metadata,
    Column("batch_id", String(64), ForeignKey("vertexq_batches.id"), primary_key=True),
    Column("object_name", String(2048), primary_key=True),
    Column("generation", _BIG, primary_key=True),
    Column("start", _BIG, primary_key=True),
    Column("end", _BIG, nullable=False),
    Column("size_bytes", _BIG, nullable=False),
    Column("crc32c", String(16), nullable=False),
    Column("done", Boolean, nullable=False, default=False),
)

spool = Table(
    "vertexq_spool",
    metadata,
    Column("submission_id", String(63), ForeignKey("vertexq_submissions.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

audit = Table(
    "vertexq_audit",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("record", String(16), nullable=False),
    Column("record_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("from_state", String(16), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("version", _BIG, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Index("vertexq_audit_record", "record", "record_id", "id"),
)

beats = Table(
    "vertexq_beats",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)
