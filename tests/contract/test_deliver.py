"""Deliveries to real receivers: at least once, with the same id and body, and nowhere they must not go."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.contract.delivering import TARGET, a_worker, deliver_all, put, with_options
from tests.contract.loopback import listening
from tests.receiving import OLD_SECRET, SECRET, Received, receiving
from vertexq import steps
from vertexq.webhooks.verdict import WAITS_S
from worker.stack import ROOT


async def test_messages_arrive_once_and_signed_with_every_secret(tmp_path: Path) -> None:
    """A receiver that knows either secret can verify; the ledger drops what was taken."""
    async with receiving() as receiver, a_worker(tmp_path, receiver.store_url("secret_env=OLD_SECRET")) as it:
        put(it.ledger, *(f"m-{number}" for number in range(30)))
        await deliver_all(it)

        assert sorted(one.id for one in receiver.requests) == sorted(f"m-{number}" for number in range(30))
        assert all(one.is_signed_with(secret) for one in receiver.requests for secret in (SECRET, OLD_SECRET))
        assert receiver.by_id["m-7"].message["data"] == {"name": "m-7"}
        assert [(one.delivered, one.waiting) for one in it.ledger.told("s-1")] == [(30, 0)]


async def test_large_messages_arrive_beside_small_ones(tmp_path: Path) -> None:
    """Only one of them is in a worker's memory at a time; the others wait for their turn, not for a lease."""
    async with receiving() as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, *(f"large-{number}" for number in range(6)), padding=3_000_000)
        put(it.ledger, *(f"small-{number}" for number in range(20)))
        await steps.deliver(it, TARGET)

        assert len(receiver.by_id) == len(receiver.requests) == 26
        assert len(receiver.by_id["large-3"].body) > 3_000_000


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_a_receiver_that_is_down_for_a_day_gets_everything_in_the_end(
    tmp_path: Path, status: int
) -> None:
    """Seven tries are refused, over thirty hours by the schedule (here a second); the eighth is taken."""

    def down(_received: Received, number: int) -> web.Response:
        return web.Response(status=status if number <= 7 else 200)

    async with receiving(down) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1")
        await deliver_all(with_options(it, webhook_waits_s=tuple(wait_s / 86_400 for wait_s in WAITS_S)))

        assert len(receiver.requests) == 8
        assert len({(one.id, one.body) for one in receiver.requests}) == 1
        assert [one.delivered for one in it.ledger.told("s-1")] == [1]


async def test_a_receiver_that_never_answers_well_is_given_up_and_can_be_asked_again(tmp_path: Path) -> None:
    """After the whole schedule a person must look; ``deliver_again`` starts anew with the same message."""

    def broken(_received: Received, number: int) -> web.Response:
        return web.Response(status=500 if number <= 10 else 200)

    async with receiving(broken) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1")
        await deliver_all(it)
        (given_up,) = it.ledger.told("s-1")
        again = it.ledger.deliver_again("s-1")
        await deliver_all(it)

        assert (given_up.abandoned, again, len(receiver.requests)) == (1, 1, 11)
        assert given_up.reason == "the receiver answered HTTP 500; given up after 10 tries"
        assert len({one.body for one in receiver.requests}) == 1


async def test_a_target_that_is_down_is_not_asked_for_each_message(tmp_path: Path) -> None:
    """Eight are on their way when the first fails; then it rests."""

    def broken(_received: Received, _number: int) -> web.Response:
        return web.Response(status=500)

    async with receiving(broken) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, *(f"m-{number}" for number in range(100)))
        for _ in range(3):
            await steps.deliver(with_options(it, webhook_waits_s=WAITS_S), TARGET)
            put(it.ledger, "m-new")

        assert len(receiver.requests) == 8


async def test_410_ends_it_for_this_submission_only(tmp_path: Path) -> None:
    """What waits and what comes later of it is not sent; another submission's is."""

    def gone(received: Received, _number: int) -> web.Response:
        return web.Response(status=410 if received.id == "m-0" else 200)

    async with receiving(gone) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-0")
        await steps.deliver(it, TARGET)
        put(it.ledger, "m-1", "m-2")
        put(it.ledger, "o-1", submission="s-2")
        await steps.deliver(it, TARGET)

        assert [one.id for one in receiver.requests] == ["m-0", "o-1"]
        assert "HTTP 410" in it.ledger.told("s-1")[0].reason or it.ledger.told("s-1")[0].abandoned == 3


async def test_a_receiver_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    """429 with ``Retry-After``: nothing goes there before that time is over, not even other messages."""
    loop = asyncio.get_running_loop()
    at_s: list[float] = []

    def busy(_received: Received, number: int) -> web.Response:
        at_s.append(loop.time())
        return web.Response(status=429, headers={"retry-after": "1"}) if number == 1 else web.Response()

    async with receiving(busy) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1")
        await steps.deliver(it, TARGET)
        put(it.ledger, "m-2")
        await deliver_all(it)

        assert sorted(one.id for one in receiver.requests) == ["m-1", "m-1", "m-2"]
        assert at_s[1] - at_s[0] >= 0.99


async def test_a_slow_receiver_is_asked_again(tmp_path: Path) -> None:
    """It took the message and did not say so in time: the same id and body come again."""

    def slow(_received: Received, number: int) -> web.StreamResponse | float:
        return 3.0 if number == 1 else web.Response()

    async with receiving(slow) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1")
        await steps.deliver(with_options(it, webhook_timeout_s=0.2), TARGET)
        (late,) = it.ledger.told("s-1")
        await deliver_all(it)

        assert late.reason == "127.0.0.1: no answer in time"
        assert len(receiver.requests) == 2
        assert len({(one.id, one.body) for one in receiver.requests}) == 1


async def test_a_connection_that_breaks_after_the_message_was_read_is_no_answer(tmp_path: Path) -> None:
    """Nobody knows whether it was taken, so it comes again."""

    def breaking(_received: Received, number: int) -> web.Response | None:
        return None if number == 1 else web.Response()

    async with receiving(breaking) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1")
        await deliver_all(it)

        assert [one.id for one in receiver.requests] == ["m-1", "m-1"]


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """It could lead anywhere; the reason says what to do."""
    async with receiving() as trap:

        def elsewhere(_received: Received, _number: int) -> web.Response:
            return web.Response(status=307, headers={"location": trap.url})

        async with receiving(elsewhere) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
            put(it.ledger, "m-1")
            await steps.deliver(it, TARGET)

            assert "redirects are not followed" in it.ledger.told("s-1")[0].reason
            assert (len(receiver.requests), trap.requests) == (1, [])


async def test_the_body_of_an_answer_is_not_read(tmp_path: Path) -> None:
    """A receiver that answers without end holds nobody up."""

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(10_000):
            await answer.write(b"x" * 65_536)
        return answer

    runner = web.AppRunner(_app(endless), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"webhook+http://127.0.0.1:{runner.addresses[0][1]}/?secret_env=HOOK_SECRET&allow_http=true&allow_private=true"
    async with a_worker(tmp_path, url) as it:
        put(it.ledger, "m-1")
        await deliver_all(it)

        assert [one.delivered for one in it.ledger.told("s-1")] == [1]
    await runner.cleanup()


def _app(handler: object) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", handler)  # type: ignore[arg-type]
    return app


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_no_spelling_of_this_machine_is_reached_unless_allowed(tmp_path: Path, host: str) -> None:
    """The address that is connected to is judged, however the URL writes it."""
    async with receiving() as trap:
        url = trap.store_url().replace("127.0.0.1", host).replace("&allow_private=true", "")
        async with a_worker(tmp_path, url) as it:
            put(it.ledger, "m-1")
            await steps.deliver(it, TARGET)

            assert trap.requests == []
            (told,) = it.ledger.told("s-1")
            assert told.waiting == 1
            assert "allow_private=true" in told.reason or "metadata" in told.reason or "no " in told.reason


async def test_a_receiver_whose_certificate_nobody_vouches_for_gets_nothing(
    tmp_path: Path, tls: ssl.SSLContext
) -> None:
    """HTTPS is checked, and there is no option against that."""
    async with listening(lambda _heard: b"HTTP/1.1 204 \r\n\r\n", tls=tls) as server:
        url = f"webhook+{server.url}/?secret_env=HOOK_SECRET&allow_private=true"
        async with a_worker(tmp_path, url) as it:
            put(it.ledger, "m-1")
            await steps.deliver(it, TARGET)

            assert server.heard == []
            assert "ClientConnectorCertificateError" in it.ledger.told("s-1")[0].reason


async def test_no_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages go to the receiver itself."""
    async with receiving() as receiver, receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with a_worker(tmp_path, receiver.store_url()) as it:
            put(it.ledger, "m-1")
            await deliver_all(it)

        assert (len(receiver.requests), proxy.requests) == (1, [])


async def test_a_store_that_a_worker_does_not_know_is_tried_again_later(tmp_path: Path) -> None:
    """Its setting may be missing on one machine; the reason names it."""
    async with receiving() as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1", target="webhook:other")
        await steps.deliver(it, "webhook:other")

        (told,) = it.ledger.told("s-1")
        assert told.waiting == 1
        assert "VERTEXQ_STORE_OTHER" in told.reason


async def test_a_worker_killed_between_the_sending_and_the_note_sends_the_same_again(tmp_path: Path) -> None:
    """The receiver kills it by SIGKILL while it waits for the answer; its successors have all taken once."""
    workers: list[asyncio.subprocess.Process] = []

    def deadly(_received: Received, number: int) -> web.StreamResponse | None:
        if number == 1:
            os.kill(workers[-1].pid, signal.SIGKILL)
            return None
        return web.Response()

    async with receiving(deadly) as receiver, a_worker(tmp_path, receiver.store_url()) as it:
        put(it.ledger, "m-1", "m-2")
        codes: list[int] = []
        for _ in range(40):
            if not any(one.waiting for one in it.ledger.told("s-1")):
                break
            workers.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.contract.delivering"),
                    *(str(tmp_path), receiver.store_url()),
                    cwd=ROOT,
                )
            )
            codes.append(await workers[-1].wait())

        assert codes.count(-signal.SIGKILL) == 1
        assert set(receiver.by_id) == {"m-1", "m-2"}
        assert len({(one.id, one.body) for one in receiver.requests}) == 2
        assert len(receiver.requests) > 2
        assert [one.delivered for one in it.ledger.told("s-1")] == [2]
