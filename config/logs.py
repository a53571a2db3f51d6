"""Logs: one JSON object a line (or a plain line), the ids of what is worked on, and no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LONGEST_CHARS = 2000
HIDDEN = "[hidden]"
CHATTY = (  # these say something at every hint, tick or connection; what matters of it, the steps say
    *("aiohttp", "alembic", "asyncio", "google", "kombu", "urllib3"),
    *("celery.beat", "celery.worker.strategy", "celery.app.trace"),
)

_SECRETS = (
    re.compile(
        r"(?P<keep>[a-z][a-z0-9+.-]*://[^:/@\s]*:)[^@/\s]+(?=@)", re.IGNORECASE
    ),  # scheme://user:password@
    re.compile(r"(?P<keep>\bbearer\s+)[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(?P<keep>)\bya29\.[\w-]+"),  # Google access tokens
    re.compile(r"(?P<keep>)\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # signed tokens (JWT)
    re.compile(
        r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    re.compile(
        r"(?P<keep>\b(?:password|passwd|secret|api[_-]?key|token|signature)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+",
        re.IGNORECASE,
    ),
)
_SECRET_NAMES = re.compile(
    r"password|passwd|secret|token|authorization|credential|private_key", re.IGNORECASE
)
_PAYLOAD_NAMES = frozenset(
    {"prompt", "prompts", "text", "request", "response", "line", "raw", "body", "message_body"}
)


def configure(*, level: str = "info", log_format: str = "json") -> None:
    """Send everything that is logged in this process, by us or by libraries, to standard error.

    ``level`` is a name such as ``info``; ``log_format`` is ``json`` or ``plain``. Safe to repeat.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                _renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide what looks like a secret and what is named like a payload; cut long texts."""
    return {name: _clean(name, value) for name, value in event.items()}


def without_secrets(text: str) -> str:
    """Return ``text`` with passwords in URLs, tokens and keys replaced."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<keep>{HIDDEN}", text)
    return text


def _clean(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name) or name in _PAYLOAD_NAMES:
        return HIDDEN
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_clean(name, one) for one in cast("Sequence[object]", value)]
    text = without_secrets(value if isinstance(value, str) else str(value))
    return text if len(text) <= LONGEST_CHARS else f"{text[:LONGEST_CHARS]}... ({len(text)} characters)"


def _renderer(log_format: str) -> Processor:
    if log_format == "plain":
        return structlog.dev.ConsoleRenderer(colors=False)
    return structlog.processors.JSONRenderer(serializer=_to_json)


def _to_json(event: MutableMapping[str, Any], **_options: object) -> str:
    return orjson.dumps(event, default=str).decode("utf-8", "replace")
