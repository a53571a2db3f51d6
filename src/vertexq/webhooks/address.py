"""Where a webhook is and what signs it, read from a store's URL. No I/O.

``webhook+https://hooks.example.com/vertexq?secret_env=HOOK_SECRET``: the secret is in the environment
variable that ``secret_env`` names, so that neither the URL nor anything made from it holds it. With several
``secret_env`` each message has a signature by each, the first one first, which is how secrets are replaced.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from vertexq.errors import BadSettings

SCHEMES = ("webhook+https", "webhook+http")
SECRET_PREFIX = "whsec_"  # noqa: S105  (Standard Webhooks specification, "Signature scheme")
SECRET_BYTES = range(16, 129)
"""The specification asks for 24 to 64 bytes; what other tools have made is taken too."""

_OURS = ("secret_env", "allow_http", "allow_private")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that messages are posted to. Its path and query may be secrets as well: they never show."""

    url: str = field(repr=False)
    host: str
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    allow_private: bool = False


def is_webhook(store_url: str) -> bool:
    """Tell whether a store's URL is that of a webhook."""
    return store_url.partition("://")[0] in SCHEMES


def secret_names(store_url: str) -> list[str]:
    """Return the names of the environment variables that hold a webhook's secrets, in order."""
    query = store_url.partition("#")[0].partition("?")[2]
    return [name for option, name in parse_qsl(query, keep_blank_values=True) if option == "secret_env"]


def webhook_of(store_url: str, secrets: Mapping[str, str] | None = None) -> Webhook:
    """Read a webhook store's URL; ``secrets`` are the values of the variables that it names.

    Without ``secrets`` it is checked and cannot sign. Raise ``BadSettings``, which never quotes the URL, for
    one that names no host or no secret, for plain HTTP that was not allowed, and for a secret that is none.
    """
    parts = _split(store_url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    names = secret_names(store_url)
    _check(parts, options, names)
    return Webhook(
        url=_plain(parts),
        host=parts.hostname or "",
        secrets=() if secrets is None else tuple(_secret(name, secrets.get(name, "")) for name in names),
        allow_private=_is_true(options, "allow_private"),
    )


def _split(store_url: str) -> SplitResult:
    try:
        parts = urlsplit(store_url)
        _ = parts.port  # a port that is no number shows only here
    except ValueError:
        raise BadSettings("a webhook's URL has a host or a port that is none") from None
    return parts


def _check(parts: SplitResult, options: Mapping[str, str], names: list[str]) -> None:
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise BadSettings("a webhook's URL is webhook+https://host/path?secret_env=NAME")
    if parts.username is not None:
        raise BadSettings(
            "a webhook's URL holds no user and no password; put the secret into an environment variable and "
            "name it: ?secret_env=NAME"
        )
    if not names or not all(_VARIABLE.fullmatch(name) for name in names):
        raise BadSettings(
            "a webhook's messages are signed: name the environment variable that holds the secret, "
            "?secret_env=NAME"
        )
    if parts.scheme == "webhook+http" and not _is_true(options, "allow_http"):
        raise BadSettings(
            "a webhook over plain HTTP shows answers to whoever listens; use webhook+https://, or say "
            "allow_http=true"
        )


def _is_true(options: Mapping[str, str], name: str) -> bool:
    said = options.get(name, "false").lower()
    if said not in ("true", "false"):
        raise BadSettings(f"{name} in a webhook's URL is true or false")
    return said == "true"


def _plain(parts: SplitResult) -> str:
    """Return the address itself: what is left of the query is the receiver's, in its own order."""
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _OURS]
    scheme = parts.scheme.removeprefix("webhook+")
    return SplitResult(scheme, parts.netloc, parts.path or "/", urlencode(kept), "").geturl()


def _secret(name: str, value: str) -> bytes:
    if not value:
        raise BadSettings(f"{name} is not set: it holds the secret that signs a webhook's messages")
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in SECRET_BYTES:
        raise BadSettings(f"{name} holds no webhook secret: {SECRET_PREFIX} and the base64 of 24 to 64 bytes")
    return key
