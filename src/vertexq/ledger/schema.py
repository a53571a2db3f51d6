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
    Table,
    Text,
    false,
    text,
)

from vertexq.ledger.prose import Prose
from vertexq.ledger.times import UtcDateTime

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows up only in a plain INTEGER


def _lease_columns() -> list[Column[object]]:
    """Return what every record that is worked on carries: what is next, and who works on it."""
    return [
        Column("next_action_at", UtcDateTime),
        Column("hint_sent_at", UtcDateTime),
        Column("lease_owner", Text),
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


def _due_index(name: str) -> Index:
    """Index only what is still to be done, so that finished records cost nothing."""
    waiting = text("next_action_at IS NOT NULL")
    return Index(name, "next_action_at", sqlite_where=waiting, postgresql_where=waiting)


submissions = Table(
    "vertexq_submissions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", _BIG, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("source_kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("family", Text, nullable=False, server_default=""),
    Column("parameters", JSON, nullable=False, server_default="{}"),
    Column("destination", Text, nullable=False, server_default=""),
    Column("key_field", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("template", Text, nullable=False, server_default=""),
    Column("policy", JSON, nullable=False, server_default="{}"),
    Column("terms", JSON, nullable=False, server_default="{}"),
    Column("on_complete", Text, nullable=False, server_default=""),
    Column("retry", JSON(none_as_null=True)),
    Column("estimate", JSON(none_as_null=True)),
    Column("deadline_at", UtcDateTime),
    Column("rounds", Integer, nullable=False, server_default="0"),
    Column("rows", _BIG),
    *_count_columns(),
    Column("reason", Prose, nullable=False, default=""),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    *_lease_columns(),
    _due_index("vertexq_submissions_due"),
    Index(
        "vertexq_submissions_deadline",
        "deadline_at",
        sqlite_where=text("deadline_at IS NOT NULL AND finished_at IS NULL"),
        postgresql_where=text("deadline_at IS NOT NULL AND finished_at IS NULL"),
    ),
    Index("vertexq_submissions_created", "created_at"),
)

batches = Table(
    "vertexq_batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("submission_id", Text, ForeignKey("vertexq_submissions.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", _BIG, nullable=False),
    Column("model", Text, nullable=False),
    Column("family", Text, nullable=False, server_default="gemini"),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("project", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("rows", _BIG, nullable=False),
    Column("estimate", JSON(none_as_null=True)),
    Column("estimate_pusd", _BIG),
    Column("estimate_tokens", _BIG, nullable=False, server_default="0"),
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
    Column("job_state", Text, nullable=False, default=""),
    Column("job_state_since", UtcDateTime),
    Column("job_error", JSON(none_as_null=True)),
    Column("output_directory", Text, nullable=False, default=""),
    Column("stats", JSON, nullable=False),
    *_count_columns(),
    Column("found", LargeBinary, nullable=False, default=b""),
    Column("successor", Text, nullable=False, server_default=""),
    Column("round", Integer, nullable=False, server_default="0"),
    Column("repeats", Boolean, nullable=False, server_default=false()),
    Column("online", Boolean, nullable=False, server_default=false()),
    Column("carried", LargeBinary, nullable=False, server_default=text("''")),
    Column("priced_as", Text, nullable=False, server_default=""),
    Column("reason", Prose, nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    *_lease_columns(),
    _due_index("vertexq_batches_due"),
    Index("vertexq_batches_submission", "submission_id", "ordinal", unique=True),
    Index("vertexq_batches_place", "project", "location", "state", "created_at"),
    Index(
        "vertexq_batches_ready",
        *("project", "location", "family", "next_action_at", "tenant"),
        sqlite_where=text("state = 'ready'"),
        postgresql_where=text("state = 'ready'"),
    ),
    Index("vertexq_batches_sent", "project", "sent_at"),
)

ranges = Table(
    "vertexq_ranges",
    metadata,
    Column("batch_id", Text, ForeignKey("vertexq_batches.id"), primary_key=True),
    Column("object_name", Text, primary_key=True),
    Column("generation", _BIG, primary_key=True),
    Column("start", _BIG, primary_key=True),
    Column("end", _BIG, nullable=False),
    Column("size_bytes", _BIG, nullable=False),
    Column("crc32c", Text, nullable=False),
    Column("done", Boolean, nullable=False, default=False),
    Column("id", Text, nullable=False, server_default=""),
    Column("early", Boolean, nullable=False, server_default=false()),
    *_lease_columns(),
    Index("vertexq_ranges_id", "id", unique=True),
)

strays = Table(
    "vertexq_strays",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("batch_id", Text, ForeignKey("vertexq_batches.id"), nullable=False),
    Column("job_state", Text, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    Column("cancelled_at", UtcDateTime),
    Index("vertexq_strays_batch", "batch_id"),
)

spool = Table(
    "vertexq_spool",
    metadata,
    Column("submission_id", Text, ForeignKey("vertexq_submissions.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

audit = Table(
    "vertexq_audit",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("record", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("version", _BIG, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Prose, nullable=False),
    Index("vertexq_audit_record", "record", "record_id", "id"),
)

deliveries = Table(
    "vertexq_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("submission_id", Text, nullable=False),
    Column("body", LargeBinary),
    Column("size_bytes", _BIG, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("gone", Boolean, nullable=False, server_default=false()),
    Column("reason", Prose, nullable=False, server_default=""),
    Column("failed_at", UtcDateTime),
    *_lease_columns(),
    Index(
        "vertexq_deliveries_due",
        *("target", "next_action_at"),
        sqlite_where=text("next_action_at IS NOT NULL"),
        postgresql_where=text("next_action_at IS NOT NULL"),
    ),
    Index("vertexq_deliveries_submission", "submission_id", "target"),
)

rests = Table(
    "vertexq_rests",
    metadata,
    Column("target", Text, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
)

webhook_progress = Table(
    "vertexq_webhook_progress",
    metadata,
    Column("store", Text, primary_key=True),
    Column("range_id", Text, primary_key=True),
    Column("submission_id", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("position", _BIG, nullable=False),
    Column("fence", _BIG, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

operations = Table(
    "vertexq_operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", _BIG, nullable=False),
    Column("order", JSON, nullable=False),
    Column("project", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("call", Text, nullable=False, server_default=""),
    Column("google_name", Text, nullable=False, server_default=""),
    Column("stage", Text, nullable=False, server_default=""),
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("reason", Prose, nullable=False, server_default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    *_lease_columns(),
    _due_index("vertexq_operations_due"),
    Index("vertexq_operations_created", "created_at"),
)

beats = Table(
    "vertexq_beats",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)
