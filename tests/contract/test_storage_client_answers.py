"""Answers of Cloud Storage that no server should give are errors of ours, and none of them loops."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.loopback import QUICK, Heard, answer, in_turn, json_answer, listening
from vertexq.errors import Refused, Throttled, Unavailable, Unreachable
from vertexq.google.auth import Tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.upload import QUANTUM_BYTES
from vertexq.model import GcsUri, ObjectInfo

URI = GcsUri(bucket="prompts", name="file")
PINNED = ObjectInfo(uri=URI, generation=7, size_bytes=6, crc32c="")


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Give a transport that does not wait long."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        yield transport


async def stream() -> AsyncGenerator[bytes]:
    """Give two pieces and a bit."""
    for _ in range(5):
        yield bytes(QUANTUM_BYTES // 2 + 1)


def stored(name: str, size_bytes: int = 6) -> dict[str, str]:
    """Return an object's metadata as Google sends it."""
    return {
        "bucket": "prompts",
        "name": name,
        "generation": "7",
        "size": str(size_bytes),
        "crc32c": "AAAAAA==",
    }


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (answer(308), "no byte after 0 is kept"),
        (answer(308, Range="bytes=0-99999999"), "100000000 bytes are kept where"),
        (json_answer(stored("file")), "the upload ended before its last piece"),
        (answer(302, Location="/elsewhere"), "302"),
        (answer(404), "404"),
    ],
)
async def test_a_session_that_makes_no_sense_ends(transport: Transport, said: bytes, match: str) -> None:
    """The upload fails after a bounded number of requests."""
    opened = answer(200, Location="http://ignored/session?upload_id=1")
    async with listening(in_turn(opened, said)) as server:
        storage = Storage(transport, endpoint=server.url, piece_bytes=QUANTUM_BYTES)
        with pytest.raises((Unavailable, Refused), match=match):
            await storage.upload(URI, stream())

    assert len(server.heard) <= 8


async def test_a_session_without_an_address_is_an_error(transport: Transport) -> None:
    """Where to send the bytes must stand in the answer."""
    async with listening(in_turn(answer(200))) as server:
        storage = Storage(transport, endpoint=server.url, piece_bytes=QUANTUM_BYTES)
        with pytest.raises(Unavailable, match="names no upload session"):
            await storage.upload(URI, stream())


async def test_a_status_query_that_is_refused_is_the_end(transport: Transport) -> None:
    """A refusal other than 404 and 410 is told as it is."""
    answers = in_turn(answer(200, Location="/session?upload_id=1"), answer(503), answer(403, b"no"))
    async with listening(answers) as server:
        storage = Storage(transport, endpoint=server.url, piece_bytes=QUANTUM_BYTES)
        with pytest.raises(Refused, match="403: no"):
            await storage.upload(URI, stream())


async def test_a_length_that_changes_is_not_believed(transport: Transport) -> None:
    """A generation has one length; the download goes on only where the answer fits it."""

    def answering(heard: Heard) -> bytes:
        first = heard.headers["range"] == "bytes=0-"
        if first:
            return answer(206, b"abc", Content_Range="bytes 0-2/6")
        good = len(server.heard) > 2
        return answer(206, b"def", Content_Range=f"bytes 3-5/{6 if good else 7}")

    async with listening(answering) as server:
        chunks = Storage(transport, endpoint=server.url).download(URI, generation=7)
        content = b"".join([chunk async for chunk in chunks])

    assert content == b"abcdef"
    assert len(server.heard) == 3


async def test_an_answer_without_a_byte_does_not_loop(transport: Transport) -> None:
    """A range that is promised and not sent ends after a few tries."""
    async with listening(in_turn(answer(206, Content_Range="bytes 0-5/6"))) as server:
        with pytest.raises(Unavailable, match="brought no byte at 0"):
            _ = [chunk async for chunk in Storage(transport, endpoint=server.url).download(URI, generation=7)]

    assert len(server.heard) == QUICK.tries


async def test_an_hour_is_not_waited_in_a_transfer(transport: Transport) -> None:
    """When Cloud Storage asks for a long pause, the caller decides what to do with it."""
    opened = answer(200, Location="/session?upload_id=1")
    async with listening(in_turn(opened, answer(429, Retry_After="3600"))) as server:
        storage = Storage(transport, endpoint=server.url, piece_bytes=QUANTUM_BYTES)
        with pytest.raises(Throttled) as up:
            await storage.upload(URI, stream())
        with pytest.raises(Throttled) as down:
            await anext(storage.download(URI, generation=7))

    assert (up.value.retry_after_s, down.value.retry_after_s) == (3600, 3600)


async def test_a_listing_goes_to_the_last_page(transport: Transport) -> None:
    """Every page is asked for with the token of the one before; objects that cannot be read are no gap."""
    pages = [
        {"items": [stored("a")], "nextPageToken": "two"},
        {"nextPageToken": "three"},
        {"items": [stored("b")]},
    ]
    async with listening(in_turn(*map(json_answer, pages))) as server:
        found = [info.uri.name async for info in Storage(transport, endpoint=server.url).list(URI)]
    async with listening(in_turn(json_answer({"items": [{"name": "?"}]}))) as strange:
        with pytest.raises(Unavailable, match="no readable name"):
            _ = [info async for info in Storage(transport, endpoint=strange.url).list(URI)]

    tokens = [parse_qs(urlsplit(heard.target).query).get("pageToken") for heard in server.heard]
    assert (found, tokens) == (["a", "b"], [None, ["two"], ["three"]])


async def test_a_composed_object_of_the_wrong_size_is_an_error(transport: Transport) -> None:
    """What was joined is as long as its parts together."""
    async with listening(in_turn(json_answer(stored("file", 11)))) as server:
        with pytest.raises(Unavailable, match="11 bytes were composed instead of 12"):
            await Storage(transport, endpoint=server.url).compose(URI, [PINNED, PINNED])


async def test_mistakes_of_the_caller_are_noticed_before_a_call(transport: Transport) -> None:
    """No sources, sources of another bucket, and pieces Google would not take."""
    storage = Storage(transport)
    with pytest.raises(ValueError, match="at least one source"):
        await storage.compose(URI, [])
    with pytest.raises(ValueError, match="in the bucket of the target"):
        await storage.compose(GcsUri(bucket="other", name="x"), [PINNED])
    with pytest.raises(ValueError, match="multiple of 262144"):
        Storage(transport, piece_bytes=1000)


async def test_an_endless_answer_is_not_read_to_its_end(transport: Transport) -> None:
    """Only objects are streamed; any other answer has a limit."""
    async with listening(in_turn(answer(200, bytes(64 * 1024 * 1024 + 1)))) as server:
        with pytest.raises(Unavailable, match="more than 67108864 bytes"):
            await transport.call("GET", server.url, retry=False)


class Renewing:
    """Credentials that give token-1, token-2 and so on, each when ``may_give`` is set."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None
        self.may_give = threading.Event()
        self.fetched = 0

    def refresh(self, request: object) -> None:
        """Give the next token, good for an hour."""
        del request
        self.may_give.wait()
        self.fetched += 1
        self.token = f"token-{self.fetched}"
        self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)

    def apply(self, headers: dict[str, str]) -> None:
        """Write the header google-auth writes."""
        headers["authorization"] = f"Bearer {self.token}"


@pytest.mark.parametrize("good", ["token-2", "token-3"])
async def test_a_download_gets_a_new_token_once(good: str) -> None:
    """A 401 at the start of a download is answered with a new token, a second one is final."""

    def answering(heard: Heard) -> bytes:
        right = heard.headers["authorization"].endswith(good)
        return answer(206, b"abcdef", Content_Range="bytes 0-5/6") if right else answer(401)

    credentials = Renewing()
    credentials.may_give.set()
    async with listening(answering) as server, Transport(Tokens(credentials), pace=QUICK) as transport:
        chunks = Storage(transport, endpoint=server.url).download(URI, generation=7)
        if good == "token-2":
            assert [chunk async for chunk in chunks] == [b"abcdef"]
        else:
            with pytest.raises(Refused, match="401"):
                await anext(chunks)

    assert len(server.heard) == 2


async def test_without_credentials_a_401_is_final(transport: Transport) -> None:
    """There is no other token to try."""
    async with listening(in_turn(answer(401))) as server:
        with pytest.raises(Refused, match="401"):
            await Storage(transport, endpoint=server.url).info(URI)

    assert len(server.heard) == 1


async def test_a_token_that_does_not_come_ends_at_the_deadline() -> None:
    """Waiting for a token is part of the call; nothing is sent without it."""
    credentials = Renewing()
    async with listening(in_turn(json_answer({}))) as server, Transport(Tokens(credentials)) as transport:
        transport.trust(server.url)
        with pytest.raises(Unreachable, match="no access token in time"):
            await transport.call("GET", server.url, deadline_s=0.2, retry=True)
        credentials.may_give.set()

    assert server.heard == []
