"""The simulator as a server: starting, stopping, keeping, and who may call it."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import threading
import urllib.request
from pathlib import Path

import aiohttp
import psutil
import pytest

from vertexq.errors import Unreachable
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

OBJECT = "/storage/v1/b/prompts/o"
UPLOAD = "/upload/storage/v1/b/prompts/o?uploadType=media&name="


def fetch(url: str, data: bytes | None = None) -> bytes:
    """Get ``url``, or post ``data`` to it."""
    with urllib.request.urlopen(url, data) as answer:  # noqa: S310  (our own server)
        return bytes(answer.read())


def test_it_runs_beside_a_test_and_leaves_nothing_behind() -> None:
    """The port is closed, the thread is gone, the temporary files are removed."""
    threads = threading.active_count()

    with running_simulator(buckets=["prompts"]) as simulator:
        assert json.loads(fetch(f"{simulator.url}/_simulator/health")) == {"status": "ok"}
        home = simulator.home
        assert home.is_dir()

    assert threading.active_count() == threads
    assert not home.exists()
    with pytest.raises(OSError, match="refused"):
        fetch(f"{simulator.url}/_simulator/health")


def test_a_taken_port_is_named() -> None:
    """A port that is in use cannot be reached; the message says which."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"), running_simulator(port=port):
            pass


def test_objects_outlive_a_restart(tmp_path: Path) -> None:
    """With a ``data_dir`` a new simulator has what the old one had, and goes on counting generations."""
    with running_simulator(buckets=["prompts"], data_dir=tmp_path) as first:
        before = json.loads(fetch(first.url + UPLOAD + "a", b"kept"))
        upload_id = "/upload/storage/v1/b/prompts/o?uploadType=resumable&name=half"
        fetch(first.url + upload_id, b"{}")

    with running_simulator(buckets=["prompts"], data_dir=tmp_path) as second:
        assert fetch(f"{second.url}{OBJECT}/a?alt=media") == b"kept"
        after = json.loads(fetch(second.url + UPLOAD + "a", b"new"))

    assert int(after["generation"]) > int(before["generation"])
    assert list((tmp_path / "storage" / "incoming").iterdir()) == []
    assert len(list((tmp_path / "storage" / "objects").iterdir())) == 1


async def test_a_stop_does_not_wait_for_readers() -> None:
    """A reader that stopped reading is cut off, soon."""
    simulator = Simulator(buckets=["prompts"])
    await simulator.start()
    async with aiohttp.ClientSession(simulator.url) as http:
        async with http.post(UPLOAD + "a", data=io.BytesIO(bytes(32 * 1024 * 1024))):
            pass
        async with http.get(f"{OBJECT}/a?alt=media") as answer:
            await answer.content.readexactly(1)
            await simulator.stop()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

    await simulator.stop()


async def test_a_token_is_asked_for() -> None:
    """Without the right bearer token every call is refused (401)."""
    async with Simulator(buckets=["prompts"], required_token="t") as simulator:  # noqa: SIM117
        async with aiohttp.ClientSession(simulator.url) as http:
            for token, status in ((None, 401), ("Bearer x", 401), ("Bearer t", 200)):
                headers = {"Authorization": token} if token else {}
                async with http.get("/storage/v1/b/prompts", headers=headers) as answer:
                    assert answer.status == status


async def test_memory_stays_flat() -> None:
    """A large object goes in and out in pieces."""
    size_bytes = 192 * 1024 * 1024

    async with Simulator(buckets=["prompts"]) as simulator, aiohttp.ClientSession(simulator.url) as http:
        before = psutil.Process().memory_info().rss
        with tempfile.TemporaryFile() as file:
            file.truncate(size_bytes)
            async with http.post(UPLOAD + "a", data=file) as answer:
                assert (await answer.json())["size"] == str(size_bytes)
        got = 0
        async with http.get(f"{OBJECT}/a?alt=media") as answer:
            async for chunk in answer.content.iter_any():
                got += len(chunk)
        grown = psutil.Process().memory_info().rss - before

    assert got == size_bytes
    assert grown < 48 * 1024 * 1024
