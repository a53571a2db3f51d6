"""Webhooks: what their URLs say, where they may go, how they are signed, what answers mean."""

from __future__ import annotations

import base64

import pytest

from tests.receiving import OLD_SECRET, SECRET, Received
from vertexq.errors import BadSettings
from vertexq.webhooks.address import secret_names, webhook_of
from vertexq.webhooks.guard import refusal
from vertexq.webhooks.signature import signed_headers
from vertexq.webhooks.verdict import WAITS_S, Answer, Next, judge

URL = "webhook+https://hooks.example.com/a/b?token=t%2F1&secret_env=NEW&secret_env=OLD"
SECRETS = {"NEW": SECRET, "OLD": OLD_SECRET}


def test_a_url_holds_the_address_and_the_names_of_its_secrets() -> None:
    """Our options are taken out, the receiver's own query stays."""
    webhook = webhook_of(URL, SECRETS)

    assert webhook.url == "https://hooks.example.com/a/b?token=t%2F1"
    assert webhook.secrets == tuple(base64.b64decode(one[6:]) for one in (SECRET, OLD_SECRET))
    assert (webhook.host, webhook.allow_private) == ("hooks.example.com", False)
    assert secret_names(URL) == ["NEW", "OLD"]


def test_neither_the_secret_nor_the_path_shows() -> None:
    """A path may be a secret too."""
    shown = repr(webhook_of(URL, SECRETS))

    assert "hooks.example.com" in shown
    assert not any(secret in shown for secret in ("/a/b", "t%2F1", "at least 24", SECRET))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("webhook+https:///path?secret_env=NEW", "webhook\\+https://host/path"),
        ("webhook+https://h/p", "messages are signed"),
        ("webhook+https://h/p?secret_env=not-a-name", "messages are signed"),
        ("webhook+https://u:hunter2@h/p?secret_env=NEW", "no user and no password"),
        ("webhook+http://h/p?secret_env=NEW", "allow_http=true"),
        ("webhook+https://h/p?secret_env=NEW&allow_private=1", "true or false"),
        ("webhook+https://h:hunter2/p?secret_env=NEW", "a port that is none"),
        ("webhook+https://h/p?secret_env=MISSING", "MISSING is not set"),
        ("webhook+https://h/p?secret_env=SHORT", "SHORT holds no webhook secret"),
        ("webhook+https://h/p?secret_env=PLAIN", "PLAIN holds no webhook secret"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, says: str) -> None:
    """The fault is named, what was written is not quoted."""
    with pytest.raises(BadSettings, match=says) as refused:
        webhook_of(url, {**SECRETS, "SHORT": "whsec_aGVsbG8=", "PLAIN": "hunter2"})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "::1", "::"),  # noqa: S104
        *("fd12::1", "::ffff:10.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1"),
        *("127.1", "2130706433", "0x7f000001", "localhost", ""),
    ],
)
def test_private_addresses_are_refused_in_every_spelling(address: str) -> None:
    """Loopback, private networks, carriers' networks, and IPv6 forms of all of them."""
    assert refusal(address, allow_private=False)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "fd00:ec2::254", "224.0.0.1"]
)
@pytest.mark.parametrize("allow_private", [True, False])
def test_metadata_and_link_local_addresses_are_always_refused(address: str, *, allow_private: bool) -> None:
    """Nobody's receiver is there; credentials are."""
    assert "metadata" in refusal(address, allow_private=allow_private)


@pytest.mark.parametrize(
    ("address", "allow_private"),
    [("93.184.216.34", False), ("2606:2800:220:1::1", False), ("127.0.0.1", True), ("::1", True)],
)
def test_public_addresses_are_allowed_and_private_ones_when_asked_for(
    address: str, *, allow_private: bool
) -> None:
    """What is left is where receivers are."""
    assert refusal(address, allow_private=allow_private) == ""


def test_the_signature_is_that_of_the_specification() -> None:
    """The known answer of the specification's own libraries, and one signature for each secret."""
    known = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    name, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'

    one = signed_headers(name, body, at_s=1_614_265_330, secrets=[known])
    two = signed_headers(name, body, at_s=9, secrets=webhook_of(URL, SECRETS).secrets)

    assert one["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    signatures = two["webhook-signature"].split(" ")
    received = Received(id=name, timestamp=9, signatures=signatures, body=body)
    assert [received.is_signed_with(secret) for secret in (SECRET, OLD_SECRET)] == [True, True]


@pytest.mark.parametrize(
    ("status", "attempt", "then"),
    [
        (200, 1, Next.DONE),
        (204, 9, Next.DONE),
        (302, 1, Next.LATER),
        (400, 1, Next.LATER),
        (404, 9, Next.LATER),
        (410, 1, Next.GONE),
        (500, 10, Next.GIVE_UP),
        (0, 1, Next.LATER),
        (0, 10, Next.GIVE_UP),
    ],
)
def test_what_an_answer_leads_to(status: int, attempt: int, then: Next) -> None:
    """2xx is done, 410 is gone, everything else is tried again until the schedule is through."""
    assert judge(Answer(status=status, failure="no answer"), attempt, luck=0.5).next is then


def test_the_waits_cover_three_days() -> None:
    """Ten tries; each wait a fifth shorter or longer than the schedule's."""
    longest = sum(judge(Answer(status=500), n + 1, luck=1.0).wait_s for n in range(len(WAITS_S)))
    shortest = sum(judge(Answer(status=500), n + 1, luck=0.0).wait_s for n in range(len(WAITS_S)))

    assert shortest == pytest.approx(2.5 * 86_400, rel=0.02)
    assert longest == pytest.approx(3.8 * 86_400, rel=0.02)


def test_a_receiver_is_left_alone_for_as_long_as_it_asks() -> None:
    """A day at most; with 429 and 503 nothing else goes there meanwhile."""
    busy = judge(Answer(status=429, retry_after_s=90), 1, luck=0.5)
    broken = judge(Answer(status=500, retry_after_s=90), 1, luck=0.5)
    greedy = judge(Answer(status=503, retry_after_s=10**9), 1, luck=0.5)

    assert (busy.wait_s, busy.holds_s) == (90, 90)
    assert (broken.wait_s, broken.holds_s) == (90, 0)
    assert (greedy.wait_s, greedy.holds_s) == (86_400, 86_400)
