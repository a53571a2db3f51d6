"""What the environment says: the only reader of it, and every fault in it at once, by variable name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from vertexq.embedded.valkey import socket_url
from vertexq.errors import BadInput, BadSettings, UnknownStore
from vertexq.recipients import Way, recipient_of
from vertexq.settings.faults import faults_of, misspelt, number_in
from vertexq.settings.variables import NUMBERS, SHARES, STORE_PREFIX, TEXTS
from vertexq.shares import parse_shares
from vertexq.webhooks.address import Webhook, is_webhook, secret_names, webhook_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment as values; ``config/example.env`` explains each variable with its unit and default.

    URLs may hold passwords: they are left out of ``repr``. ``stores`` has lower-case names.
    """

    home: str = ".vertexq"
    broker_url: str = field(default="", repr=False)
    ledger_url: str = field(default="", repr=False)
    allow_open_broker: str = ""
    producer_broker_url: str = field(default="", repr=False)
    producer_key_prefix: str = ""
    staging: str = ""
    preflight: str = "park"
    vertex_endpoint: str = ""
    storage_endpoint: str = ""
    bigquery_endpoint: str = ""
    project: str = ""
    location: str = "global"
    stores: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    poll_interval_s: float = 30.0
    poll_longest_s: float = 600.0
    settle_time_s: float = 900.0
    lease_s: float = 20.0
    heartbeat_s: float = 5.0
    sweep_interval_s: float = 5.0
    resend_after_s: float = 60.0
    request_deadline_s: float = 60.0
    stop_after_s: float = 20.0
    line_limit_bytes: int = 32 * 1024 * 1024
    batch_rows: int = 200_000
    batch_bytes: int = 1_000_000_000
    running_jobs: int = 8
    creates_per_minute: int = 60
    reads_per_minute: int = 600
    online_per_minute: int = 300
    rows_in_flight: int = 0
    tokens_in_flight: int = 0
    daily_cap_usd: float = 0.0
    assumed_output_tokens: int = 1_024
    prices: str = ""
    embedding_options: str = "nested"
    tenant_label: str = "tenant"
    tenant_shares: Mapping[str, float] = field(default_factory=dict[str, float])
    early_results: str = "yes"
    range_bytes: int = 64 * 1024 * 1024
    output_wait_s: float = 60.0
    bad_lines: int = 1_000
    bad_lines_share: float = 0.5
    retry_rounds: int = 2
    retry_wait_s: float = 300.0
    retry_longest_s: float = 14_400.0
    failpoint: str = ""
    log_level: str = "info"
    log_format: str = "json"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read ``environ`` (the process's own when None); raise ``BadSettings`` with every fault, one a line.

        A variable set to nothing counts as not set.
        """
        return cls._read(_given(environ), needed=())

    @classmethod
    def for_worker(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read what a worker needs; beyond ``from_env``, a project and a staging place must be named."""
        return cls._read(_given(environ), needed=("project", "staging"))

    @classmethod
    def for_producer(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        ledger_url: str | None = None,
        broker_url: str | None = None,
        stores: Mapping[str, str] | None = None,
    ) -> Self:
        """Read what a producer needs; an argument wins over its variable."""
        given = _given(environ)
        if ledger_url is not None:
            given["VERTEXQ_LEDGER_URL"] = ledger_url
        if broker_url is not None:
            given["VERTEXQ_BROKER_URL"] = broker_url
        for name, url in (stores or {}).items():
            given[f"{STORE_PREFIX}{name.upper()}"] = url
        return cls._read(given, needed=())

    def check_store(self, name: str) -> None:
        """Raise ``UnknownStore`` when stores are configured here and ``name`` is none of them.

        A producer need not know the stores' URLs: where none is configured, the workers will check.
        """
        if self.stores:
            self.store_url(name)

    def check_told(self, on_complete: str) -> None:
        """Raise ``BadInput`` when nobody can be told so, as far as the settings of this process say."""
        to = recipient_of(on_complete)
        if to is None or to.way is not Way.WEBHOOK or not self.stores:
            return
        if not is_webhook(self.store_url(to.name)):
            raise BadInput(
                f"on_complete names the store {to.name!r}, which is no webhook; name one whose URL begins "
                "with webhook+https://"
            )

    @property
    def store_places(self) -> dict[str, str]:
        """Return what ``open_store`` is told besides a store's URL and name: emulators, and the ledger."""
        return {
            "storage_endpoint": self.storage_endpoint,
            "bigquery_endpoint": self.bigquery_endpoint,
            "ledger_url": self.ledger_url,
        }

    def store_url(self, name: str) -> str:
        """Return the URL of the store called ``name``; raise ``UnknownStore``."""
        if name in self.stores:
            return self.stores[name]
        known = ", ".join(sorted(self.stores)) or "none"
        if not re.fullmatch("[a-z0-9_]+", name):
            raise UnknownStore(
                f"no store is called {name[:80]!r} (known: {known}); a store's name holds letters, "
                "digits and underscores only (a-z in lower case, 0-9, _)"
            )
        raise UnknownStore(
            f"no store is called {name!r} (known: {known}); set {STORE_PREFIX}{name.upper()} to its URL, "
            "for example sqlite:///results.db"
        )

    def webhooks(self) -> dict[str, Webhook]:
        """Return where the webhook stores post to, by name, with their secrets; raise ``BadSettings``."""
        return {name: webhook_of(url, self.secrets) for name, url in self.stores.items() if is_webhook(url)}

    @classmethod
    def _read(cls, given: Mapping[str, str], *, needed: tuple[str, ...]) -> Self:
        faults = list(misspelt(given))
        wrong: set[str] = set()
        stores = _stores(given)
        values: dict[str, Any] = {"stores": stores, "secrets": _secrets(given, stores)}
        for name, variable in TEXTS.items():
            if variable in given:
                values[name] = given[variable]
        for name, number in NUMBERS.items():
            if number.variable in given:
                value = number_in(number, given[number.variable], whole=name in _WHOLE)
                if isinstance(value, str):
                    faults.append(value)
                    wrong.add(name)  # its default stands in for it, so that the others can be checked
                else:
                    values[name] = value
        try:
            values["tenant_shares"] = parse_shares(given.get(SHARES, ""))
        except ValueError as error:
            faults.append(f"{SHARES} {error}")
        settings = cls(**values)
        faults.extend(faults_of(settings, needed, wrong))
        if faults:
            raise BadSettings("\n".join(faults))
        return settings._with_defaults()

    def _with_defaults(self) -> Self:
        home = Path(self.home)
        broker_url = self.broker_url or socket_url(home / "valkey")
        return replace(
            self,
            broker_url=broker_url,
            producer_broker_url=self.producer_broker_url or broker_url,
            ledger_url=self.ledger_url or f"sqlite:///{home}/ledger.db",
            stores=MappingProxyType(dict(self.stores)),
        )


_WHOLE = frozenset(one.name for one in fields(Settings) if one.type == "int")


def _given(environ: Mapping[str, str] | None) -> dict[str, str]:
    found = os.environ if environ is None else environ
    return {name: value.strip() for name, value in found.items() if value.strip()}


def _secrets(given: Mapping[str, str], stores: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the webhook stores name; one that is not set is missed where it is needed."""
    names = {name for url in stores.values() if is_webhook(url) for name in secret_names(url)}
    return {name: given[name] for name in names if name in given}


def _stores(given: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(STORE_PREFIX).lower(): url
        for name, url in given.items()
        if name.startswith(STORE_PREFIX)
    }
