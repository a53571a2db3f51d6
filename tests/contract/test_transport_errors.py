"""Every error aiohttp's client can raise has its place among ours."""

from __future__ import annotations

import inspect

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey

from vertexq.errors import Ambiguous, BadSettings, Unreachable, VertexqError
from vertexq.google.failures import FATES, Fate, fate_of, lost, translated

CLIENT_ERRORS = [
    error
    for _, error in inspect.getmembers(client_exceptions, inspect.isclass)
    if issubclass(error, Exception) and error.__module__ == client_exceptions.__name__
]


def test_every_error_of_the_client_has_a_fate() -> None:
    """A new release of aiohttp with a new error fails here until somebody has decided what it means."""
    assert {error.__name__ for error in CLIENT_ERRORS} == FATES.keys() - {"OSError", "TimeoutError"}


@pytest.mark.parametrize("kind", CLIENT_ERRORS)
def test_every_error_is_caught(kind: type[Exception]) -> None:
    """Whatever the class, it leaves as an error of ours."""
    key = ConnectionKey(
        "host", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    )
    error = kind.__new__(kind)
    vars(error).update(_conn_key=key, _os_error=OSError(111, "refused"), _certificate_error=ValueError("bad"))

    with pytest.raises(VertexqError), translated("GET https://host/path", replayable=True):
        raise error


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (aiohttp.ServerDisconnectedError(), Ambiguous),
        (aiohttp.ClientPayloadError(), Ambiguous),
        (aiohttp.SocketTimeoutError(), Ambiguous),
        (TimeoutError(), Ambiguous),
        (ConnectionResetError(104, "Connection reset by peer"), Ambiguous),
        (aiohttp.ConnectionTimeoutError(), Unreachable),
        (aiohttp.InvalidURL("x"), BadSettings),
    ],
)
def test_what_may_have_taken_effect_is_ambiguous(error: Exception, ours: type[VertexqError]) -> None:
    """Only an error from before the first byte is not ambiguous when the call must not be repeated."""
    assert type(lost(error, "POST https://host/path", replayable=False)) is ours


def test_an_error_of_a_known_family_is_known() -> None:
    """A class of a user's or of a later aiohttp takes the fate of its nearest ancestor."""

    class Later(aiohttp.ConnectionTimeoutError):
        """Not there yet."""

    assert fate_of(Later()) is Fate.NOT_SENT


def test_a_secret_url_is_not_chained() -> None:
    """The foreign error of an upload session, whose text holds the URL, does not travel with ours."""
    with pytest.raises(Unreachable) as caught, translated("PUT https://h/", replayable=True, secret_url=True):
        raise aiohttp.ConnectionTimeoutError("Connection timeout to host https://h/?upload_id=secret")

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "secret" not in str(caught.value)
