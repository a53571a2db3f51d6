"""Which addresses webhooks may go to: a name is resolved here, judged, and only then connected to.

The connection goes to the very addresses that were judged, so a name that changes its mind in between gains
nothing (OWASP, "Server Side Request Forgery Prevention Cheat Sheet").
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})


class AddressRefused(OSError):
    """A webhook's host is, or has, an address that webhooks do not go to."""


def refusal(address: str, *, allow_private: bool) -> str:
    """Say why a webhook may not go to an IP address; "" when it may.

    Link-local, multicast and metadata addresses are never allowed; loopback and private ones when asked for.
    """
    try:
        found = _inner(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return "is no IP address"
    if found.is_link_local or found.is_multicast or found.is_unspecified or found in _METADATA:
        return "is a link-local, multicast or metadata address"
    if found.is_global or allow_private:
        return ""
    return "is a private address (allow_private=true in the store's URL lets webhooks go there)"


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address.teredo is not None:
        inner = address.teredo[1]
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def guarded_socket(*, allow_private: bool) -> Callable[[Any], socket.socket]:
    """Return what makes the sockets of a connector: none for an address that is not allowed.

    This is the last word: it sees what is connected to, also where a host in digits (``127.1``) passes every
    resolver by.
    """

    def make(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        _check(str(address[0]), allow_private=allow_private)
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def _check(address: str, *, allow_private: bool) -> None:
    if why := refusal(address, allow_private=allow_private):
        raise AddressRefused(f"its address {why}")


class GuardedResolver(AbstractResolver):
    """Resolves names as the machine does, and refuses when one of the addresses is not allowed."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; raise ``AddressRefused``."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            _check(one["host"], allow_private=self._allow_private)
        return found

    async def close(self) -> None:
        """Close."""
        await self._resolver.close()
