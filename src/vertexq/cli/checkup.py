"""What ``vertexq doctor`` looks at: each check asks one thing and says what it found and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from vertexq.errors import BadInput, BadSettings, VertexqError
from vertexq.plain import duration, lines
from vertexq.prices import PriceBook
from vertexq.settings import NO_LEDGER, STORE_PREFIX, Settings

CLOCK_OFF_S = 5.0
SWEEPS_MISSED = 6
"""After this many sweep intervals without a sweep, nobody seems to be sweeping."""


class Level(StrEnum):
    """How a check came out."""

    OK = "OK"
    NOTE = "NOTE"  # Google would not say; nothing is known to be wrong
    WARN = "WARN"  # works, but not as it should in production
    FAIL = "FAIL"  # cannot be reached, or is set wrongly


_LEVELS = {"fine": Level.OK, "unknown": Level.NOTE, "warning": Level.WARN, "error": Level.FAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    text: str
    settings_wrong: bool = False


def findings(model: str = "") -> Iterator[Finding]:
    """Check everything, in the order in which things depend on one another; a ``model`` only if named."""
    try:
        settings = Settings.from_env()
    except BadSettings as error:
        yield Finding(check="settings", level=Level.FAIL, text=lines(str(error)), settings_wrong=True)
        return
    yield _settings(settings)
    yield _guarded("broker", lambda: _broker(settings))
    yield _guarded("ledger", lambda: _ledger(settings))
    yield _guarded("sweep", lambda: _sweep(settings))
    yield from _google(settings, model)
    if not settings.stores:
        yield _warn("stores", f"no store is named here; set {STORE_PREFIX}<NAME>, at least for the workers")
    for name, url in sorted(settings.stores.items()):
        yield _store(name, url, settings)


def _guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """Turn an error of vertexq, or a part that is not installed, into a finding."""
    try:
        return look()
    except BadInput as error:
        return Finding(check=check, level=Level.FAIL, text=lines(str(error)), settings_wrong=True)
    except VertexqError as error:
        return Finding(check=check, level=Level.FAIL, text=lines(str(error)))
    except ModuleNotFoundError as error:
        return _warn(check, f"not looked at: the package {error.name} is missing; install vertexq[worker]")


def _settings(settings: Settings) -> Finding:
    try:
        PriceBook.open(settings.prices)
    except BadSettings as error:
        return Finding(check="settings", level=Level.FAIL, text=lines(str(error)), settings_wrong=True)
    try:
        Settings.for_worker()
    except BadSettings as error:
        missing = lines(str(error)).replace("\n", "; ")
        return _warn("settings", f"enough to enqueue, not enough to run a worker: {missing}")
    if settings.settle_time_s < 2 * settings.request_deadline_s:
        return _warn(
            "settings",
            f"VERTEXQ_SETTLE_TIME_S ({settings.settle_time_s:g}) is below twice VERTEXQ_REQUEST_DEADLINE_S: "
            "a job that Google accepts late may be paid for twice; leave it at 900",
        )
    return _ok("settings", f"complete; project {settings.project}, location {settings.location}")


def _broker(settings: Settings) -> Finding:
    from vertexq.cli.broker_look import look_at_broker  # noqa: PLC0415

    found = look_at_broker(settings.broker_url)
    if found.policy != "noeviction":
        return _warn(
            "broker", f"maxmemory-policy is {found.policy}: hints may be evicted; set it to noeviction"
        )
    if not found.appends:
        return _warn(
            "broker", "appendonly is off: hints are lost at a restart and sent again later; set it to yes"
        )
    return _ok("broker", f"{found.server}, noeviction, append-only file on")


def _ledger(settings: Settings) -> Finding:
    from vertexq.cli.ledger_look import look_at_ledger, missing_file  # noqa: PLC0415

    if settings.ledger_url == NO_LEDGER:
        return _warn("ledger", "none: this machine can enqueue gs:// sources and nothing else")
    if (file := missing_file(settings.ledger_url)) is not None:
        return _warn("ledger", f"{file} is not there yet; the first submission or worker makes it")
    try:
        found = look_at_ledger(settings.ledger_url)
    except BadSettings as error:  # tables that are not there, or not of this version
        return _warn("ledger", lines(str(error)))
    if abs(found.clock_off_s) > CLOCK_OFF_S:
        off = duration(abs(found.clock_off_s))
        return _warn("ledger", f"its clock is {off} away from this machine's; run NTP on both")
    return _ok("ledger", f"{settings.ledger_url.partition(':')[0]}, its tables are those of this version")


def _sweep(settings: Settings) -> Finding:
    from vertexq.cli.ledger_look import look_at_ledger, missing_file  # noqa: PLC0415

    if settings.ledger_url == NO_LEDGER or missing_file(settings.ledger_url) is not None:
        return _warn("sweep", "not looked at: there is no ledger")
    try:
        age_s = look_at_ledger(settings.ledger_url).swept_s
    except BadSettings:
        return _warn("sweep", "not looked at: the ledger has no tables of this version")
    todo = "start beat and a worker: python -m celery -A worker worker -B"
    if age_s is None:
        return _warn("sweep", f"no sweep has ever run on this ledger; {todo}")
    if age_s > SWEEPS_MISSED * settings.sweep_interval_s:
        return _warn("sweep", f"the last sweep was {duration(age_s)} ago; {todo}")
    return _ok("sweep", f"the last one was {duration(age_s)} ago")


def _google(settings: Settings, model: str) -> Iterator[Finding]:
    """Look at what a submission's preflight would look at, and at the list of jobs."""
    staged = "not looked at: VERTEXQ_STAGING is not set; set it to gs://bucket/prefix"
    yield (
        _guarded("staging", lambda: _look_at_google("staging", settings))
        if settings.staging
        else _warn("staging", staged)
    )
    if settings.staging:
        yield _guarded("region", lambda: _look_at_google("region", settings))
    if settings.staging and settings.project:
        yield _guarded("agent", lambda: _look_at_google("agent", settings))
    yield _guarded("vertex", lambda: _vertex(settings))
    if model:
        yield _guarded("model", lambda: _look_at_google("model", settings, model))


def _look_at_google(check: str, settings: Settings, model: str = "") -> Finding:
    from vertexq.cli import google_look  # noqa: PLC0415

    looks = {
        "staging": partial(google_look.look_at_staging, settings),
        "region": partial(google_look.look_at_region, settings),
        "agent": partial(google_look.look_at_agent, settings),
        "model": partial(google_look.look_at_model, settings, model),
    }
    found = asyncio.run(looks[check]())
    level = Level.FAIL if google_look.unreachable(found) else _LEVELS[found.weight.value]
    return Finding(check=check, level=level, text=lines(found.text))


def _vertex(settings: Settings) -> Finding:
    from vertexq.cli.google_look import look_at_jobs  # noqa: PLC0415

    if not settings.project:
        return _warn("vertex", "not looked at: GOOGLE_CLOUD_PROJECT is not set; set it to the project's id")
    host = asyncio.run(look_at_jobs(settings))
    return _ok("vertex", f"{host} lists the jobs of {settings.project} in {settings.location}")


def _store(name: str, url: str, settings: Settings) -> Finding:
    def look() -> Finding:
        from vertexq.stores import open_store  # noqa: PLC0415

        with open_store(url, name=name, **settings.store_places) as store:
            return _ok(f"store {name}", f"ready: {_place(store.url)}")

    return _guarded(f"store {name}", look)


def _place(url: str) -> str:
    """Say what kind of store a URL names and where it is, without secrets."""
    from vertexq.stores.base import without_secrets  # noqa: PLC0415

    scheme, _, place = without_secrets(url).partition("://")
    return f"{scheme} at {place.removeprefix('/') if place.startswith('/') else place}"


def _ok(check: str, text: str) -> Finding:
    return Finding(check=check, level=Level.OK, text=text)


def _warn(check: str, text: str) -> Finding:
    return Finding(check=check, level=Level.WARN, text=text)
