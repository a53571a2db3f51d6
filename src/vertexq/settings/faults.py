"""What can be wrong with the environment, each fault said by the variable's name. No I/O.

Values that may hold a password are never quoted.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from vertexq.addresses import LOOSE, is_loose
from vertexq.errors import BadSettings
from vertexq.model import GcsUri
from vertexq.settings.variables import NO_LEDGER, STORE_PREFIX, TEXTS, VARIABLES, Number
from vertexq.webhooks.address import is_webhook, webhook_of

if TYPE_CHECKING:
    from vertexq.settings.environment import Settings

BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
LEDGER_SCHEMES = ("sqlite", "postgresql", "postgres")
LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})

_ELSEWHERE = frozenset({"VERTEXQ_IMAGE"})  # read by docker-compose.yml only


def misspelt(given: Mapping[str, str]) -> Iterator[str]:
    """Name variables that look like ours and are not: a setting that does nothing is a trap."""
    for name in sorted(given):
        if name.startswith("VERTEXQ_") and not name.startswith(STORE_PREFIX) and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
            if near and name not in _ELSEWHERE:
                yield f"{name} is no variable of vertexq; {near[0]} is"


def faults_of(settings: Settings, needed: tuple[str, ...], wrong: set[str]) -> Iterator[str]:
    """Yield what is wrong with settings; those named ``wrong`` have been reported, and hold their default."""
    yield from (
        f"{TEXTS[name]} is not set: {_NEEDED[name]}" for name in needed if not getattr(settings, name)
    )
    yield from _broker_faults(settings)
    if settings.ledger_url and settings.ledger_url != NO_LEDGER:
        yield from _url_faults("VERTEXQ_LEDGER_URL", settings.ledger_url, LEDGER_SCHEMES)
    for name, url in settings.stores.items():
        yield from _url_faults(f"{STORE_PREFIX}{name.upper()}", url, ())
    yield from _webhook_faults(settings, signs=bool(needed))
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


def _webhook_faults(settings: Settings, *, signs: bool) -> Iterator[str]:
    """Check what can be checked; whoever ``signs`` messages, as workers do, needs the secrets too."""
    for name, url in settings.stores.items():
        if is_webhook(url) and _split(url) is not None and not is_loose(url):
            try:
                webhook_of(url, settings.secrets if signs else None)
            except BadSettings as error:
                yield f"{STORE_PREFIX}{name.upper()}: {error}"
    if settings.producer_broker_url:
        yield from _url_faults(TEXTS["producer_broker_url"], settings.producer_broker_url, BROKER_SCHEMES)


def _place_faults(settings: Settings) -> Iterator[str]:
    if settings.staging:
        try:
            GcsUri.parse(settings.staging)
        except ValueError:
            yield f"{TEXTS['staging']} must be of the form gs://bucket/prefix, not {settings.staging[:80]!r}"
    for name in ("vertex_endpoint", "storage_endpoint", "bigquery_endpoint"):
        url: str = getattr(settings, name)
        bare = name != "vertex_endpoint" and "://" not in url  # Google's own libraries take host:port there
        parts = _split(f"http://{url}" if bare else url)
        if url and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
            yield f"{TEXTS[name]} must be a base URL such as http://127.0.0.1:8090"


def _word_faults(settings: Settings) -> Iterator[str]:
    for name, words in (
        ("log_level", ("debug", "info", "warning", "error")),
        ("log_format", ("json", "plain")),
        ("allow_open_broker", ("", "yes", "no")),
        ("preflight", ("park", "warn")),
        ("early_results", ("yes", "no")),
        ("embedding_options", ("nested", "flat")),
    ):
        value: str = getattr(settings, name)
        if value.lower() not in words:
            yield f"{TEXTS[name]} must be one of {', '.join(filter(None, words))}, not {value[:40]!r}"


def _time_faults(settings: Settings, wrong: set[str]) -> Iterator[str]:
    """Compare the times that must fit together; those with a fault of their own come later."""
    if settings.heartbeat_s * 2 > settings.lease_s and not wrong & {"heartbeat_s", "lease_s"}:
        yield (
            f"VERTEXQ_HEARTBEAT_S ({digits(settings.heartbeat_s)}) must be at most half of VERTEXQ_LEASE_S "
            f"({digits(settings.lease_s)}): a lease must outlive one missed heartbeat"
        )
    if settings.poll_longest_s < settings.poll_interval_s and not wrong & {
        "poll_longest_s",
        "poll_interval_s",
    }:
        yield (
            f"VERTEXQ_POLL_LONGEST_S ({digits(settings.poll_longest_s)}) must not be below "
            f"VERTEXQ_POLL_INTERVAL_S ({digits(settings.poll_interval_s)})"
        )


def number_in(number: Number, text: str, *, whole: bool) -> float | str:
    """Return the number, or what is wrong with it."""
    try:
        value = int(text.replace("_", "")) if whole else float(text)
    except ValueError:
        value = float("nan")
    if number.least <= value <= number.most:
        return value
    kind = "a whole number" if whole else "a number"
    least, most = digits(number.least), digits(number.most)
    return f"{number.variable} must be {kind} from {least} to {most}, not {text[:40]!r}"


def digits(value: float) -> str:
    """Write a number without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:g}"
