"""Every way aiohttp can fail, said in our errors; nothing else in vertexq catches aiohttp's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum

import aiohttp

from vertexq.errors import Ambiguous, BadSettings, Unavailable, Unreachable, VertexqError
from vertexq.google.envelope import clean


class Fate(Enum):
    """What became of a request that got no answer."""

    NOT_SENT = "no connection"  # not one byte went out
    LOST = "no answer"  # it may have taken effect
    WRONG = "not a URL"  # it cannot be sent at all


FATES: dict[str, Fate] = {
    # By class name, looked up along the class's ancestry: the nearest entry counts.
    "ClientError": Fate.LOST,
    "ClientResponseError": Fate.LOST,  # among others: an answer that is not HTTP
    "ContentTypeError": Fate.LOST,
    "WSServerHandshakeError": Fate.LOST,
    "ClientHttpProxyError": Fate.NOT_SENT,
    "TooManyRedirects": Fate.LOST,
    "ClientConnectionError": Fate.LOST,
    "ClientConnectionResetError": Fate.LOST,
    "ClientOSError": Fate.LOST,
    "ClientConnectorError": Fate.NOT_SENT,
    "ClientConnectorDNSError": Fate.NOT_SENT,
    "ClientProxyConnectionError": Fate.NOT_SENT,
    "UnixClientConnectorError": Fate.NOT_SENT,
    "ClientSSLError": Fate.NOT_SENT,
    "ClientConnectorSSLError": Fate.NOT_SENT,
    "ClientConnectorCertificateError": Fate.NOT_SENT,
    "ServerConnectionError": Fate.LOST,
    "ServerDisconnectedError": Fate.LOST,
    "ServerTimeoutError": Fate.LOST,
    "ConnectionTimeoutError": Fate.NOT_SENT,
    "SocketTimeoutError": Fate.LOST,
    "ServerFingerprintMismatch": Fate.NOT_SENT,
    "ClientPayloadError": Fate.LOST,
    "UploadAbortedError": Fate.LOST,
    "InvalidURL": Fate.WRONG,
    "InvalidUrlClientError": Fate.WRONG,
    "RedirectClientError": Fate.LOST,
    "NonHttpUrlClientError": Fate.WRONG,
    "InvalidUrlRedirectClientError": Fate.LOST,
    "NonHttpUrlRedirectClientError": Fate.LOST,
    "WSMessageTypeError": Fate.LOST,
    "TimeoutError": Fate.LOST,
    "OSError": Fate.LOST,
}


def fate_of(error: BaseException) -> Fate:
    """Return what became of the request that ended with ``error``."""
    return next(FATES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in FATES)


@contextmanager
def translated(tried: str, *, replayable: bool, secret_url: bool = False) -> Generator[None]:
    """Turn aiohttp's errors into ours: ``Unreachable`` when nothing was sent, else ``Unavailable``.

    Without an answer to a call that is not ``replayable`` it is ``Ambiguous``. With a ``secret_url`` the
    foreign error is not chained, because its text may hold the URL.
    """
    try:
        yield
    except (aiohttp.ClientError, aiohttp.WSMessageTypeError, TimeoutError, OSError) as error:
        raise lost(error, tried, replayable=replayable) from (None if secret_url else error)


def lost(error: BaseException, tried: str, *, replayable: bool) -> VertexqError:
    """Return our error for a call that ended with aiohttp's ``error``."""
    fate = fate_of(error)
    why = _why(error)
    if fate is Fate.WRONG:
        return BadSettings(f"{tried} cannot be sent: {why}; check the endpoint")
    if fate is Fate.NOT_SENT:
        return Unreachable(f"{tried}: no connection: {why}; check the network, the name and the port")
    if replayable:
        return Unavailable(f"{tried} got no whole answer: {why}; try again later")
    return Ambiguous(
        f"{tried} got no whole answer: {why}; it may have taken effect: look before trying again"
    )


def _why(error: BaseException) -> str:
    """Name the error without its URL: the operating system's or OpenSSL's words, or the class."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return clean(f"{error.host}:{error.port}: {error.certificate_error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return clean(f"{error.host}:{error.port}: {error.os_error.strerror or type(error).__name__}")
    if isinstance(error, TimeoutError):
        return "the time ran out"
    if isinstance(error, OSError) and error.strerror:
        return clean(error.strerror)
    return type(error).__name__
