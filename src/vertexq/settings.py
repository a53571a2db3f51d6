"""What the environment says: the only reader of it, and every fault in it at once, by variable name."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from vertexq.addresses import LOOSE, is_loose
from vertexq.embedded.valkey import socket_url
from vertexq.errors import BadSettings, UnknownStore
from vertexq.model import GcsUri
from vertexq.shares import parse_shares

STORE_PREFIX = "VERTEXQ_STORE_"
NO_LEDGER = "none"
SHARES = "VERTEXQ_TENANT_SHARES"
BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
LEDGER_SCHEMES = ("sqlite", "postgresql", "postgres")
LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment as values; ``config/example.env`` explains each variable with its unit and default.

    URLs may hold passwords: they are left out of ``repr``. ``stores`` has lower-case names.
    """

    home: str = ".vertexq"
    broker_url: str = field(default="", repr=False)
    ledger_url: str = field(default="", repr=False)
    allow_open_broker: str = ""
    staging: str = ""
    preflight: str = "park"
    vertex_endpoint: str = ""
    storage_endpoint: str = ""
    project: str = ""
    location: str = "global"
    stores: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
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
    rows_in_flight: int = 0
    tokens_in_flight: int = 0
    daily_cap_usd: float = 0.0
    assumed_output_tokens: int = 1_024
    prices: str = ""
    tenant_label: str = "tenant"
    tenant_shares: Mapping[str, float] = field(default_factory=dict[str, float])
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

    @classmethod
    def _read(cls, given: Mapping[str, str], *, needed: tuple[str, ...]) -> Self:
        faults = list(_misspelt(given))
        wrong: set[str] = set()
        values: dict[str, Any] = {"stores": _stores(given)}
        for name, variable in TEXTS.items():
            if variable in given:
                values[name] = given[variable]
        for name, number in NUMBERS.items():
            if number.variable in given:
                value = _number(number, given[number.variable], whole=name in _WHOLE)
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
        faults.extend(_faults(settings, needed, wrong))
        if faults:
            raise BadSettings("\n".join(faults))
        return settings._with_defaults()

    def _with_defaults(self) -> Self:
        home = Path(self.home)
        return replace(
            self,
            broker_url=self.broker_url or socket_url(home / "valkey"),
            ledger_url=self.ledger_url or f"sqlite:///{home}/ledger.db",
            stores=MappingProxyType(dict(self.stores)),
        )


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
    "staging": "VERTEXQ_STAGING",
    "preflight": "VERTEXQ_PREFLIGHT",
    "vertex_endpoint": "VERTEXQ_VERTEX_ENDPOINT",
    "storage_endpoint": "STORAGE_EMULATOR_HOST",
    "project": "GOOGLE_CLOUD_PROJECT",
    "location": "GOOGLE_CLOUD_LOCATION",
    "prices": "VERTEXQ_PRICES",
    "tenant_label": "VERTEXQ_TENANT_LABEL",
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
    "batch_rows": Number("VERTEXQ_BATCH_ROWS", 1, 200_000),
    "batch_bytes": Number("VERTEXQ_BATCH_BYTES", 1024, 1_000_000_000_000),
    "running_jobs": Number("VERTEXQ_RUNNING_JOBS", 1, 10_000),
    "creates_per_minute": Number("VERTEXQ_CREATES_PER_MINUTE", 1, 60_000),
    "reads_per_minute": Number("VERTEXQ_READS_PER_MINUTE", 1, 600_000),
    "rows_in_flight": Number("VERTEXQ_ROWS_IN_FLIGHT", 0, 10**15),
    "tokens_in_flight": Number("VERTEXQ_TOKENS_IN_FLIGHT", 0, 10**18),
    "daily_cap_usd": Number("VERTEXQ_DAILY_CAP_USD", 0.0, 10**6),
    "assumed_output_tokens": Number("VERTEXQ_ASSUMED_OUTPUT_TOKENS", 1, 10**6),
}
VARIABLES: frozenset[str] = (
    frozenset(TEXTS.values()) | {SHARES} | {number.variable for number in NUMBERS.values()}
)
"""Every variable that is read here, besides ``VERTEXQ_STORE_<NAME>``."""

_WHOLE = frozenset(one.name for one in fields(Settings) if one.type == "int")
_ELSEWHERE = frozenset({"VERTEXQ_IMAGE"})  # read by docker-compose.yml only


def _given(environ: Mapping[str, str] | None) -> dict[str, str]:
    found = os.environ if environ is None else environ
    return {name: value.strip() for name, value in found.items() if value.strip()}


def _stores(given: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(STORE_PREFIX).lower(): url
        for name, url in given.items()
        if name.startswith(STORE_PREFIX)
    }


def _number(number: Number, text: str, *, whole: bool) -> float | str:
    """Return the number, or what is wrong with it."""
    try:
        value = int(text.replace("_", "")) if whole else float(text)
    except ValueError:
        value = float("nan")
    if number.least <= value <= number.most:
        return value
    kind = "a whole number" if whole else "a number"
    least, most = _digits(number.least), _digits(number.most)
    return f"{number.variable} must be {kind} from {least} to {most}, not {text[:40]!r}"


def _digits(value: float) -> str:
    """Write a number without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def _misspelt(given: Mapping[str, str]) -> Iterator[str]:
    """Name variables that look like ours and are not: a setting that does nothing is a trap."""
    for name in sorted(given):
        if name.startswith("VERTEXQ_") and not name.startswith(STORE_PREFIX) and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
            if near and name not in _ELSEWHERE:
                yield f"{name} is no variable of vertexq; {near[0]} is"


def _faults(settings: Settings, needed: tuple[str, ...], wrong: set[str]) -> Iterator[str]:
    yield from (
        f"{TEXTS[name]} is not set: {_NEEDED[name]}" for name in needed if not getattr(settings, name)
    )
    yield from _broker_faults(settings)
    if settings.ledger_url and settings.ledger_url != NO_LEDGER:
        yield from _url_faults("VERTEXQ_LEDGER_URL", settings.ledger_url, LEDGER_SCHEMES)
    for name, url in settings.stores.items():
        yield from _url_faults(f"{STORE_PREFIX}{name.upper()}", url, ())
    yield from _place_faults(settings)
    yield from _word_faults(settings)
    yield from _time_faults(settings, wrong)


_NEEDED = {
    "project": "the id of the Google Cloud project that runs and pays for the jobs",
    "staging": "where inputs and outputs of jobs go, gs://bucket/prefix",
}


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number shows only here
    except ValueError:
        return None
    return parts if parts.scheme and "://" in url else None


def _url_faults(variable: str, url: str, schemes: tuple[str, ...]) -> Iterator[str]:
    """Never quotes the URL: it may hold a password."""
    parts = _split(url)
    if is_loose(url):
        yield f"{variable} {LOOSE}"
    elif parts is None:
        yield f"{variable} is no URL; it must be of the form scheme://..."
    elif schemes and parts.scheme.partition("+")[0] not in schemes and parts.scheme not in schemes:
        yield f"{variable} must start with {', '.join(f'{one}://' for one in schemes)}, not {parts.scheme}://"


def _broker_faults(settings: Settings) -> Iterator[str]:
    url, variable = settings.broker_url, TEXTS["broker_url"]
    if not url:
        return
    yield from _url_faults(variable, url, BROKER_SCHEMES)
    parts = None if is_loose(url) else _split(url)
    is_open = parts is not None and parts.scheme == "redis" and not parts.password
    if (
        parts is not None
        and is_open
        and (parts.hostname or "") not in LOOPBACK
        and settings.allow_open_broker.lower() != "yes"
    ):
        yield (
            f"{variable} names {parts.hostname} without a password: whoever reaches it could queue work that "
            "you pay for; give it a password, or set VERTEXQ_ALLOW_OPEN_BROKER=yes when the network keeps "
            "others out"
        )


def _place_faults(settings: Settings) -> Iterator[str]:
    if settings.staging:
        try:
            GcsUri.parse(settings.staging)
        except ValueError:
            yield f"{TEXTS['staging']} must be of the form gs://bucket/prefix, not {settings.staging[:80]!r}"
    for name in ("vertex_endpoint", "storage_endpoint"):
        url: str = getattr(settings, name)
        bare = name == "storage_endpoint" and "://" not in url  # Google's own libraries take host:port there
        parts = _split(f"http://{url}" if bare else url)
        if url and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
            yield f"{TEXTS[name]} must be a base URL such as http://127.0.0.1:8090"


def _word_faults(settings: Settings) -> Iterator[str]:
    for name, words in (
        ("log_level", ("debug", "info", "warning", "error")),
        ("log_format", ("json", "plain")),
        ("allow_open_broker", ("", "yes", "no")),
        ("preflight", ("park", "warn")),
    ):
        value: str = getattr(settings, name)
        if value.lower() not in words:
            yield f"{TEXTS[name]} must be one of {', '.join(filter(None, words))}, not {value[:40]!r}"


def _time_faults(settings: Settings, wrong: set[str]) -> Iterator[str]:
    """Compare the times that must fit together; those with a fault of their own come later."""
    if settings.heartbeat_s * 2 > settings.lease_s and not wrong & {"heartbeat_s", "lease_s"}:
        yield (
            f"VERTEXQ_HEARTBEAT_S ({_digits(settings.heartbeat_s)}) must be at most half of VERTEXQ_LEASE_S "
            f"({_digits(settings.lease_s)}): a lease must outlive one missed heartbeat"
        )
    if settings.poll_longest_s < settings.poll_interval_s and not wrong & {
        "poll_longest_s",
        "poll_interval_s",
    }:
        yield (
            f"VERTEXQ_POLL_LONGEST_S ({_digits(settings.poll_longest_s)}) must not be below "
            f"VERTEXQ_POLL_INTERVAL_S ({_digits(settings.poll_interval_s)})"
        )
