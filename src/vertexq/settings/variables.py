"""The variables that are read, and the bounds of those that hold numbers. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

STORE_PREFIX = "VERTEXQ_STORE_"
NO_LEDGER = "none"
SHARES = "VERTEXQ_TENANT_SHARES"


@dataclass(frozen=True, slots=True)
class Number:
    """A variable that holds a number, and its bounds (both may be reached)."""

    variable: str
    least: float
    most: float


TEXTS: dict[str, str] = {
    "home": "VERTEXQ_HOME",
    "broker_url": "VERTEXQ_BROKER_URL",
    "ledger_url": "VERTEXQ_LEDGER_URL",
    "allow_open_broker": "VERTEXQ_ALLOW_OPEN_BROKER",
    "producer_broker_url": "VERTEXQ_PRODUCER_BROKER_URL",
    "producer_key_prefix": "VERTEXQ_PRODUCER_KEY_PREFIX",
    "staging": "VERTEXQ_STAGING",
    "preflight": "VERTEXQ_PREFLIGHT",
    "vertex_endpoint": "VERTEXQ_VERTEX_ENDPOINT",
    "storage_endpoint": "STORAGE_EMULATOR_HOST",
    "bigquery_endpoint": "BIGQUERY_EMULATOR_HOST",
    "project": "GOOGLE_CLOUD_PROJECT",
    "location": "GOOGLE_CLOUD_LOCATION",
    "prices": "VERTEXQ_PRICES",
    "embedding_options": "VERTEXQ_EMBEDDING_OPTIONS",
    "tenant_label": "VERTEXQ_TENANT_LABEL",
    "early_results": "VERTEXQ_EARLY_RESULTS",
    "failpoint": "VERTEXQ_FAILPOINT",
    "log_level": "VERTEXQ_LOG_LEVEL",
    "log_format": "VERTEXQ_LOG_FORMAT",
}
DAY_S = 86_400.0
NUMBERS: dict[str, Number] = {
    "poll_interval_s": Number("VERTEXQ_POLL_INTERVAL_S", 0.05, DAY_S),
    "poll_longest_s": Number("VERTEXQ_POLL_LONGEST_S", 0.05, DAY_S),
    "settle_time_s": Number("VERTEXQ_SETTLE_TIME_S", 0.0, DAY_S),
    "lease_s": Number("VERTEXQ_LEASE_S", 0.5, 3600.0),
    "heartbeat_s": Number("VERTEXQ_HEARTBEAT_S", 0.05, 1200.0),
    "sweep_interval_s": Number("VERTEXQ_SWEEP_INTERVAL_S", 0.1, 3600.0),
    "resend_after_s": Number("VERTEXQ_RESEND_AFTER_S", 0.1, DAY_S),
    "request_deadline_s": Number("VERTEXQ_REQUEST_DEADLINE_S", 1.0, 600.0),
    "stop_after_s": Number("VERTEXQ_STOP_AFTER_S", 0.0, 3600.0),
    "line_limit_bytes": Number("VERTEXQ_LINE_LIMIT_BYTES", 1024, 1024**3),
    "batch_rows": Number("VERTEXQ_BATCH_ROWS", 1, 1_000_000),
    "batch_bytes": Number("VERTEXQ_BATCH_BYTES", 1024, 1_000_000_000_000),
    "running_jobs": Number("VERTEXQ_RUNNING_JOBS", 1, 10_000),
    "creates_per_minute": Number("VERTEXQ_CREATES_PER_MINUTE", 1, 60_000),
    "reads_per_minute": Number("VERTEXQ_READS_PER_MINUTE", 1, 600_000),
    "online_per_minute": Number("VERTEXQ_ONLINE_PER_MINUTE", 1, 30_000),
    "rows_in_flight": Number("VERTEXQ_ROWS_IN_FLIGHT", 0, 10**15),
    "tokens_in_flight": Number("VERTEXQ_TOKENS_IN_FLIGHT", 0, 10**18),
    "daily_cap_usd": Number("VERTEXQ_DAILY_CAP_USD", 0.0, 10**6),
    "range_bytes": Number("VERTEXQ_RANGE_BYTES", 1024, 1024**4),
    "output_wait_s": Number("VERTEXQ_OUTPUT_WAIT_S", 0.0, DAY_S),
    "bad_lines": Number("VERTEXQ_BAD_LINES", 0, 10**9),
    "bad_lines_share": Number("VERTEXQ_BAD_LINES_SHARE", 0.0, 1.0),
    "retry_rounds": Number("VERTEXQ_RETRY_ROUNDS", 0, 20),
    "retry_wait_s": Number("VERTEXQ_RETRY_WAIT_S", 0.0, DAY_S),
    "retry_longest_s": Number("VERTEXQ_RETRY_LONGEST_S", 0.0, 7 * DAY_S),
    "assumed_output_tokens": Number("VERTEXQ_ASSUMED_OUTPUT_TOKENS", 1, 10**6),
}
VARIABLES: frozenset[str] = (
    frozenset(TEXTS.values()) | {SHARES} | {number.variable for number in NUMBERS.values()}
)
"""Every variable that is read here, besides ``VERTEXQ_STORE_<NAME>``."""
