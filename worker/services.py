"""The composition root: makes a worker's services from its settings."""

from __future__ import annotations

import os
import random
import socket
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from vertexq.broker import CeleryProducers
from vertexq.connection import shared_limits
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Ledger
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link
from vertexq.limits.restraint import SharedRestraint
from vertexq.model import PUSD_PER_USD, GcsUri
from vertexq.prices import PriceBook
from vertexq.settings import Settings
from vertexq.steps.services import Hints, Options, Services
from vertexq.steps.storebook import StoreBook


@asynccontextmanager
async def open_services(settings: Settings, *, hints: Hints) -> AsyncGenerator[Services]:
    """Open everything a step touches and close it again; raise ``Unreachable`` or ``BadSettings``.

    Without endpoints of a simulator for both Vertex AI and Cloud Storage, Google credentials are needed.
    """
    prices = PriceBook.open(settings.prices)
    async with AsyncExitStack() as stack:
        ledger = Ledger.open(settings.ledger_url)
        stack.callback(ledger.close)
        tokens = await default_tokens(emulator=all_simulated(settings))
        link = await stack.enter_async_context(Link(settings.broker_url))
        limits = shared_limits(link, settings)
        restraint = SharedRestraint(limits, RetryBudget(link), project=settings.project)
        transport = await stack.enter_async_context(
            Transport(tokens, deadline_s=settings.request_deadline_s, restraint=restraint)
        )
        stores = StoreBook(settings.stores, **settings.store_places)
        stack.push_async_callback(stores.close)
        producers = CeleryProducers(settings.producer_broker_url, key_prefix=settings.producer_key_prefix)
        stack.callback(producers.close)
        yield Services(
            ledger=ledger,
            vertex=Vertex(transport, endpoint=settings.vertex_endpoint),
            storage=Storage(transport, endpoint=settings.storage_endpoint),
            bigquery=BigQuery(transport, endpoint=settings.bigquery_endpoint),
            endpoints=Endpoints(
                transport, endpoint=settings.vertex_endpoint, deadline_s=settings.request_deadline_s
            ),
            online=Online(transport, endpoint=settings.vertex_endpoint),
            stores=stores,
            hints=hints,
            limits=limits,
            options=options(settings),
            owner=owner(),
            luck=random.random,
            prices=prices,
            webhooks=settings.webhooks(),
            producers=producers,
        )


def all_simulated(settings: Settings) -> bool:
    """Tell whether every call goes to a simulator, so that no Google credentials are needed."""
    return bool(settings.vertex_endpoint and settings.storage_endpoint)


def options(settings: Settings) -> Options:
    """Return the plain values that the steps go by."""
    return Options(
        project=settings.project,
        location=settings.location,
        staging=GcsUri.parse(settings.staging),
        preflight_parks=settings.preflight.lower() == "park",
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        poll_interval_s=settings.poll_interval_s,
        poll_longest_s=settings.poll_longest_s,
        settle_time_s=settings.settle_time_s,
        request_deadline_s=settings.request_deadline_s,
        resend_after_s=settings.resend_after_s,
        line_limit_bytes=settings.line_limit_bytes,
        batch_rows=settings.batch_rows,
        batch_bytes=settings.batch_bytes,
        running_jobs=settings.running_jobs,
        rows_in_flight=settings.rows_in_flight or None,
        tokens_in_flight=settings.tokens_in_flight or None,
        daily_cap_pusd=round(settings.daily_cap_usd * PUSD_PER_USD) or None,
        assumed_output_tokens=settings.assumed_output_tokens,
        tenant_shares=settings.tenant_shares,
        early_results=settings.early_results.lower() == "yes",
        range_bytes=settings.range_bytes,
        output_wait_s=settings.output_wait_s,
        bad_lines=settings.bad_lines,
        bad_lines_share=settings.bad_lines_share,
        retry_rounds=settings.retry_rounds,
        retry_wait_s=settings.retry_wait_s,
        retry_longest_s=settings.retry_longest_s,
    )


def owner() -> str:
    """Return a name that no other process ever has: it stands in leases and in the audit trail."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
