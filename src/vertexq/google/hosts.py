"""Which hosts are Google's, and the base URL of each service. No I/O.

Hosts: the ``endpoints`` of the aiplatform v1 discovery document, revision 20261106, and
https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (read 2026-11).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from vertexq.errors import BadSettings

_MULTI_REGIONS = frozenset({"us", "eu"})
_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_STORAGE = "https://storage.googleapis.com"
_BIGQUERY = "https://bigquery.googleapis.com"


def base_url(location: str, endpoint: str = "") -> str:
    """Return Vertex AI's scheme and host for ``location``, or ``endpoint`` when one is set.

    Raise ``BadSettings`` for a location or an endpoint that cannot be part of a URL.
    """
    if endpoint:
        return clean_endpoint(endpoint)
    if not _LOCATION.fullmatch(location):
        raise BadSettings(f"{location!r} is not a Google Cloud location; use one like us-central1 or global")
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def storage_url(endpoint: str = "") -> str:
    """Return Cloud Storage's scheme and host, or ``endpoint`` (an emulator) when one is set."""
    return clean_endpoint(endpoint) if endpoint else _STORAGE


def bigquery_url(endpoint: str = "") -> str:
    """Return BigQuery's scheme and host, or ``endpoint`` (an emulator, a private one) when one is set."""
    return clean_endpoint(endpoint) if endpoint else _BIGQUERY


def clean_endpoint(endpoint: str) -> str:
    """Return ``endpoint`` with a scheme and without a final ``/``; raise ``BadSettings`` for other text."""
    text = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in text or "?" in text or "#" in text:
        raise BadSettings(
            f"the endpoint {text.partition('?')[0].rpartition('@')[2]!r} is not a base URL; use http(s)://host:port"
        )
    return text.rstrip("/")


def origin(url: str) -> str:
    """Return the scheme, host and port of ``url``, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_google(url: str) -> bool:
    """Tell whether ``url`` goes to one of Google's API hosts over TLS, at the usual port."""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    return parts.scheme == "https" and (host == "googleapis.com" or host.endswith(".googleapis.com"))


def without_query(url: str) -> str:
    """Return ``url`` without user, query and fragment: what may stand in a message or a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
