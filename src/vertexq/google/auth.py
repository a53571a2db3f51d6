"""Access tokens for every kind of credential that Application Default Credentials know.

The order in which they are looked for:
https://cloud.google.com/docs/authentication/application-default-credentials (read 2026-11).
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, cast

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import requests

from vertexq.errors import Refused, Unreachable, VertexqError
from vertexq.google.envelope import clean

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EARLY = timedelta(seconds=225)  # google-auth's own REFRESH_THRESHOLD
_TOKEN_DEADLINE_S = 20  # of one HTTP request for a token; google-auth's own is 120 s

# google-auth has half its types; taken as Any it does not spoil ours.
_google_auth: Any = google.auth

_WHAT_TO_DO = (
    "tried GOOGLE_APPLICATION_CREDENTIALS, the gcloud login and the metadata server; run 'gcloud auth "
    "application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to a credentials file"
)


class Credentials(Protocol):
    """What we use of google-auth's credentials."""

    @property
    def token(self) -> str | None:
        """The access token."""
        ...

    @property
    def expiry(self) -> datetime | None:
        """When it expires, in UTC without zone; None for never."""
        ...

    def refresh(self, request: object) -> None:
        """Fetch a token; blocks."""
        ...

    def apply(self, headers: dict[str, str]) -> None:
        """Write the token and the quota project into ``headers``."""
        ...


class Tokens:
    """The headers that authenticate a call; without credentials, none.

    A token is refreshed 225 s before it expires, in a thread, once for all who wait. While the old one is
    still good, a refresh that fails is not an error.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        self._credentials = credentials
        self._refreshing: asyncio.Task[None] | None = None
        self._rejected: str | None = None

    def __repr__(self) -> str:
        """Name the kind of credentials, never the token."""
        kind = type(self._credentials)
        return f"<Tokens {kind.__module__}.{kind.__name__}>"

    async def header(self) -> dict[str, str]:
        """Return ``Authorization`` and, for a quota project, ``x-goog-user-project``.

        Raise ``Unreachable`` when no token can be fetched now and ``Refused`` when Google gives none.
        """
        if self._credentials is None:
            return {}
        if self._left(self._credentials) < EARLY:
            await self._refresh(self._credentials)
        headers: dict[str, str] = {}
        self._credentials.apply(headers)
        return {name: value for name, value in headers.items() if value}

    def reject(self, header: dict[str, str]) -> bool:
        """Note that the token in ``header`` was refused (401); tell whether another can be had."""
        if self._credentials is None:
            return False
        token = self._credentials.token
        if token and header.get("authorization", "").endswith(token):
            self._rejected = token
        return True

    def _left(self, credentials: Credentials) -> timedelta:
        if credentials.token is None or credentials.token == self._rejected:
            return timedelta(0)
        if credentials.expiry is None:
            return timedelta.max
        return credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)

    async def _refresh(self, credentials: Credentials) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(_fetch(credentials), name="vertexq-token")
        try:
            await asyncio.shield(self._refreshing)  # one caller who gives up must not end it for the others
        except VertexqError:
            if self._left(credentials) <= timedelta(0):
                raise


async def default_tokens(*, emulator: bool) -> Tokens:
    """Find the credentials of this environment, or none at all when everything goes to an emulator.

    Raise ``Unreachable``, saying what was tried and what to do, when there are none.
    """
    if emulator:
        return Tokens()
    try:
        return Tokens(await asyncio.to_thread(_find))
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise _no_credentials(_said(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # a file of quite another form
        raise _no_credentials("the credentials file is not one of Google's") from error
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_token(error) from None


def _no_credentials(why: str) -> Unreachable:
    return Unreachable(f"no Google credentials: {why.rstrip('.')}; {_WHAT_TO_DO}")


def _find() -> Credentials:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a gcloud login without a quota project works
        credentials, _ = _google_auth.default(scopes=[SCOPE], request=_request())
    return cast("Credentials", credentials)


def _request() -> Callable[..., object]:
    session = requests.Session()
    session.trust_env = False  # no proxy and no .netrc gets to see a credential
    return partial(google.auth.transport.requests.Request(session), timeout=_TOKEN_DEADLINE_S)


async def _fetch(credentials: Credentials) -> None:
    """Fetch a token. The foreign error is not chained: its text may hold the token server's whole answer."""
    try:
        await asyncio.to_thread(_refresh_now, credentials)
    except google.auth.exceptions.GoogleAuthError as error:
        raise _no_token(error) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unreachable("the token server's answer cannot be read; try again later") from None


def _refresh_now(credentials: Credentials) -> None:
    credentials.refresh(_request())


def _no_token(error: google.auth.exceptions.GoogleAuthError) -> VertexqError:
    said = _said(error)
    if not _definite(error, said):
        return Unreachable(f"no access token from Google now: {said}; check the network and try again")
    return Refused(
        f"Google gives no access token for these credentials: {said}; log in again or replace them",
        status=401,
        code="UNAUTHENTICATED",
    )


def _said(error: google.auth.exceptions.GoogleAuthError) -> str:
    """Return the error's first argument only: the others may be the token server's whole answer."""
    return clean(str(error.args[0]) if error.args else "")[:300] or type(error).__name__


def _definite(error: google.auth.exceptions.GoogleAuthError, said: str) -> bool:
    """Tell whether a token server refused these credentials, and not some proxy or a server in trouble.

    google-auth keeps the answer it could read as a second argument, or puts its error code first.
    """
    if isinstance(error, google.auth.exceptions.DefaultCredentialsError):
        return True
    retryable: object = getattr(error, "retryable", False)
    return not retryable and (bool(error.args[1:]) or said.startswith(("Error code", "Reauthentication")))
