"""The transport keeps its deadlines, repeats only what may be repeated, and guards its token."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import datetime

import pytest

from tests.contract.loopback import QUICK, Heard, Loopback, answer, in_turn, json_answer, listening
from vertexq.errors import (
    Ambiguous,
    ApiError,
    BadSettings,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
    Unreachable,
)
from vertexq.google.auth import Tokens
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport

SECRET = "ya29.a-token-that-must-stay-secret"


class Fixed:
    """Credentials whose token is ``SECRET`` followed by how often it was refreshed."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.refreshed = 0

    def refresh(self, request: object) -> None:
        """Count."""
        del request
        self.refreshed += 1
        self.token = f"{SECRET}-{self.refreshed}"

    def apply(self, headers: dict[str, str]) -> None:
        """Write the header google-auth writes."""
        headers["authorization"] = f"Bearer {self.token}"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_repeatable_call_is_repeated(status: int) -> None:
    """After a status that says "later" the same call is made again, and its answer counts the tries."""
    answers = in_turn(answer(status), answer(status), json_answer({"n": 1}))
    async with listening(answers) as server, Transport(Tokens(), pace=QUICK) as transport:
        said = await transport.call("GET", server.url, retry=True)

    assert (said.json(), said.tries, len(server.heard)) == ({"n": 1}, 3, 3)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412])
async def test_a_definite_refusal_is_not_repeated(status: int) -> None:
    """A refusal is raised at once, with its status."""
    async with listening(in_turn(answer(status))) as server, Transport(Tokens(), pace=QUICK) as transport:
        with pytest.raises(Refused) as caught:
            await transport.call("GET", server.url, retry=True)

    assert (caught.value.status, len(server.heard)) == (status, 1)


@pytest.mark.parametrize("said", [None, answer(503), answer(429), answer(401)])
async def test_a_paid_call_is_made_once(said: bytes | None) -> None:
    """Without ``retry`` there is one request, whatever comes back; a lost answer is Ambiguous."""
    async with listening(in_turn(said)) as server, Transport(Tokens(Fixed()), pace=QUICK) as transport:
        transport.trust(server.url)
        with pytest.raises(ApiError) as caught:
            await transport.call("POST", server.url, json={}, retry=False)

    assert len(server.heard) == 1
    assert isinstance(caught.value, Ambiguous) == (said is None)


async def test_a_post_on_a_kept_connection_is_not_sent_again() -> None:
    """When the server closes a kept connection after reading a POST, no layer sends the POST once more."""
    async with listening(in_turn(json_answer({}), None)) as server, Transport(Tokens()) as transport:
        await transport.call("GET", server.url, retry=True)

        with pytest.raises(Ambiguous):
            await transport.call("POST", server.url, json={}, retry=False)

    assert [(heard.method, heard.connection) for heard in server.heard] == [("GET", 1), ("POST", 1)]


async def test_a_fresh_connection_is_fresh_and_not_kept() -> None:
    """A call that wants a connection of its own gets one, each time, and it is closed afterwards."""
    async with listening(in_turn(json_answer({}))) as server, Transport(Tokens()) as transport:
        for fresh in (False, True, True, False):
            await transport.call("POST", server.url, json={}, retry=False, fresh_connection=fresh)

    assert [heard.connection for heard in server.heard] == [1, 2, 3, 1]


async def test_the_deadline_covers_all_tries() -> None:
    """A server that is silent costs the deadline and no more, also when the call may be repeated."""
    async with listening(_silent) as server, Transport(Tokens(), pace=QUICK) as transport:
        begun_s = time.monotonic()
        with pytest.raises(Unavailable, match="the time ran out"):
            await transport.call("GET", server.url, deadline_s=0.3, retry=True)

    assert 0.25 < time.monotonic() - begun_s < 2


def _silent(_: Heard) -> bytes:
    return b""


@pytest.mark.parametrize(
    "said",
    [
        answer(429, Retry_After="3600"),
        json_answer(
            {
                "error": {
                    "code": 429,
                    "message": "quota",
                    "details": [{"@type": "RetryInfo", "retryDelay": "3600s"}],
                }
            },
            429,
        ),
    ],
)
async def test_a_wait_beyond_the_deadline_is_left_to_the_caller(said: bytes) -> None:
    """When the server asks for an hour the call ends at once and says so."""
    async with listening(in_turn(said)) as server, Transport(Tokens(), pace=QUICK) as transport:
        with pytest.raises(Throttled) as caught:
            await transport.call("GET", server.url, retry=True)

    assert (caught.value.retry_after_s, len(server.heard)) == (3600.0, 1)


async def test_retry_after_is_waited_for() -> None:
    """What the server asks for is a lower bound of the wait."""
    heard_s: list[float] = []

    def answering(_: Heard) -> bytes:
        heard_s.append(time.monotonic())
        return answer(503, Retry_After="1") if len(heard_s) == 1 else json_answer({})

    async with listening(answering) as server, Transport(Tokens(), pace=QUICK) as transport:
        await transport.call("GET", server.url, retry=True)

    assert heard_s[1] - heard_s[0] >= 1


async def test_a_refused_token_is_replaced_once() -> None:
    """A 401 brings a new token and one more try; calls at the same time share the refresh."""
    good = f"Bearer {SECRET}-2"

    def answering(heard: Heard) -> bytes:
        return json_answer({}) if heard.headers["authorization"] == good else answer(401)

    credentials = Fixed()
    async with listening(answering) as server, Transport(Tokens(credentials), pace=QUICK) as transport:
        transport.trust(server.url)
        await asyncio.gather(*(transport.call("GET", server.url, retry=True) for _ in range(10)))

    assert credentials.refreshed == 2


async def test_a_token_that_stays_refused_is_an_error() -> None:
    """A second 401 is final and its message tells what to do, without the token."""
    async with listening(in_turn(answer(401))) as server, Transport(Tokens(Fixed()), pace=QUICK) as transport:
        transport.trust(server.url)
        with pytest.raises(Refused, match="check the credentials") as caught:
            await transport.call("GET", server.url, retry=True)

    assert len(server.heard) == 2
    assert SECRET not in repr(caught.value)


async def test_the_token_goes_to_trusted_hosts_only() -> None:
    """A host that is neither Google's nor from the settings never sees the token."""
    async with listening(in_turn(json_answer({}))) as server, Transport(Tokens(Fixed())) as transport:
        await transport.call("GET", server.url, retry=True)
        transport.trust(server.url)
        await transport.call("GET", server.url, retry=True)

    assert ["authorization" in heard.headers for heard in server.heard] == [False, True]


async def test_redirects_are_not_followed() -> None:
    """A redirect is an error; the place it names is not visited."""
    async with (
        Transport(Tokens()) as transport,
        listening(in_turn(json_answer({}))) as other,
        listening(in_turn(answer(302, Location=other.url))) as server,
    ):
        with pytest.raises(Refused):
            await transport.call("GET", server.url, retry=True)

    assert other.heard == []


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its like do not get to see a call."""
    async with listening(in_turn(json_answer({}))) as proxy, listening(in_turn(json_answer({}))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with Transport(Tokens()) as transport:
            await transport.call("GET", server.url, retry=True)

    assert (len(proxy.heard), len(server.heard)) == (0, 1)


async def test_cookies_are_not_kept() -> None:
    """What a server sets is not sent back."""
    async with (
        listening(in_turn(json_answer({}, Set_Cookie="a=b"))) as server,
        Transport(Tokens()) as transport,
    ):
        for _ in range(2):
            await transport.call("GET", server.url, retry=True)

    assert all("cookie" not in heard.headers for heard in server.heard)


@pytest.mark.parametrize(
    "said",
    [b"this is not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 200 OK\r\nA"],
)
async def test_an_answer_that_breaks_off_is_no_answer(said: bytes) -> None:
    """Garbage and half an answer are Unavailable for a repeatable call, Ambiguous for a paid one."""
    async with listening(lambda heard: said if heard.connection else None) as server:
        for retry, kind in ((True, Unavailable), (False, Ambiguous)):
            async with Transport(Tokens(), pace=Pace(tries=1)) as transport:
                with pytest.raises(kind):
                    await transport.call("POST", server.url, json={}, deadline_s=0.3, retry=retry)


async def test_a_host_that_does_not_listen_is_unreachable(unused_url: str) -> None:
    """Nothing was sent: Unreachable names the host, the port and the reason."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        with pytest.raises(Unreachable, match=r"no connection: 127\.0\.0\.1:\d+: .*check the network"):
            await transport.call("GET", unused_url, retry=True)


async def test_a_url_that_is_none_is_a_bad_setting() -> None:
    """An endpoint that no call can be sent to is for the caller to mend."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        with pytest.raises(BadSettings, match="check the endpoint"):
            await transport.call("GET", "gopher://127.0.0.1/", retry=True)


async def test_messages_hold_no_query_and_no_body() -> None:
    """An error names method and path; what stands in the query or in our body stays out of it."""
    async with listening(in_turn(answer(404, b"gone"))) as server, Transport(Tokens()) as transport:
        with pytest.raises(NotFound) as caught:
            await transport.call(
                "POST",
                f"{server.url}/upload",
                params={"upload_id": "secret"},
                json={"text": "secret"},
                retry=True,
            )

    assert str(caught.value) == (
        f"POST {server.url}/upload was answered with 404: gone (check the name, the project and the location)"
    )


async def test_success_that_is_not_json_is_unavailable() -> None:
    """A proxy's friendly page is not an answer of Google's."""
    async with listening(in_turn(answer(200, b"<html>hello"))) as server, Transport(Tokens()) as transport:
        said = await transport.call("GET", server.url, retry=True)

        with pytest.raises(Unavailable, match="it is not JSON"):
            said.json()


async def test_a_host_without_a_good_certificate_is_unreachable(tls: ssl.SSLContext) -> None:
    """A certificate nobody vouches for ends the call before anything was sent."""
    async with (
        listening(in_turn(json_answer({})), tls=tls) as server,
        Transport(Tokens(Fixed())) as transport,
    ):
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await transport.call("POST", server.url, json={}, retry=False)

    assert server.heard == []


@pytest.fixture
async def unused_url() -> str:
    """Give the address of a server that is gone."""
    async with listening(in_turn(None)) as server:
        gone: Loopback = server
    return gone.url
