"""What the steps work with: a frozen set of collaborators and plain values. Nothing here reads settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from vertexq.errors import UnknownStore, Unreachable
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Ledger
from vertexq.limits.base import Limits
from vertexq.model import GcsUri
from vertexq.names import TaskName
from vertexq.prices import PriceBook
from vertexq.retry import Backoff
from vertexq.steps.storebook import StoreBook
from vertexq.steps.surveyed import Surveyed
from vertexq.webhooks.address import Webhook
from vertexq.webhooks.verdict import WAITS_S


class Hints(Protocol):
    """Sends hints; losing, doubling or reordering them changes nothing."""

    def send(self, task: TaskName, *args: str) -> None:
        """Send one hint. It carries ids only and never raises: the sweeper sends it again."""
        ...


class Producers(Protocol):
    """Sends messages to the Celery tasks of those who enqueue."""

    def tell(self, task: str, queue: str, message_id: str, event: dict[str, Any]) -> None:
        """Send ``event`` to a task; raise ``Unreachable`` when the broker does not take it."""
        ...


class NoProducers:
    """Reaches nobody: for those who have no broker."""

    def tell(self, task: str, queue: str, message_id: str, event: dict[str, Any]) -> None:
        """Raise ``Unreachable``."""
        del queue, message_id, event
        raise Unreachable(f"the task {task} cannot be told: there is no broker here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Plain values that decide how the steps behave; ``config/example.env`` explains each."""

    project: str
    location: str
    staging: GcsUri
    preflight_parks: bool = True
    lease_s: float = 20.0
    heartbeat_s: float = 5.0
    poll_interval_s: float = 30.0
    poll_longest_s: float = 600.0
    settle_time_s: float = 900.0
    request_deadline_s: float = 60.0
    resend_after_s: float = 60.0
    line_limit_bytes: int = 32 * 1024 * 1024
    batch_rows: int = 200_000
    batch_bytes: int = 1_000_000_000
    running_jobs: int = 8
    rows_in_flight: int | None = None
    tokens_in_flight: int | None = None
    daily_cap_pusd: int | None = None
    assumed_output_tokens: int = 1_024
    tenant_shares: Mapping[str, float] = field(default_factory=dict[str, float])  # 1.0 for all others
    early_results: bool = True
    range_bytes: int = 64 * 1024 * 1024
    output_wait_s: float = 60.0
    bad_lines: int = 1_000
    bad_lines_share: float = 0.5
    retry_rounds: int = 2
    retry_wait_s: float = 300.0
    retry_longest_s: float = 14_400.0
    online_at_once: int = 8  # online calls of one batch that are under way at the same time
    online_part_rows: int = 50
    online_deadline_s: float = 300.0  # of one call with all its waits: a model that thinks is silent for long
    webhook_timeout_s: float = 20.0
    webhook_waits_s: tuple[float, ...] = WAITS_S
    slice_s: float = 120.0
    operation_look_s: float = 1.0
    chunk_rows: int = 5_000
    chunk_bytes: int = 8 * 1024 * 1024
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a step touches. ``owner`` names this process in leases and in the audit trail."""

    ledger: Ledger
    vertex: Vertex
    storage: Storage
    bigquery: BigQuery
    online: Online
    stores: StoreBook
    endpoints: Endpoints
    hints: Hints
    limits: Limits
    options: Options
    owner: str
    luck: Callable[[], float]  # a random number in [0, 1), for jitter
    prices: PriceBook = field(default_factory=PriceBook.shipped)
    surveyed: Surveyed = field(default_factory=Surveyed)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict[str, Webhook])  # by the store's name
    producers: Producers = field(default_factory=NoProducers)

    def webhook(self, store: str) -> Webhook:
        """Return where the webhook store of this name posts to; raise ``UnknownStore``."""
        if store not in self.webhooks:
            raise UnknownStore(
                f"no webhook store is called {store!r} here; set VERTEXQ_STORE_{store.upper()} to "
                "webhook+https://host/path?secret_env=NAME in the environment of the workers"
            )
        return self.webhooks[store]


def seconds(value: float) -> timedelta:
    """Return a number of seconds as something that can be added to an instant."""
    return timedelta(seconds=value)
