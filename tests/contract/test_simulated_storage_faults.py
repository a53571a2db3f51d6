"""The simulator misbehaves when told to, exactly as told, and says afterwards what it did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from vertexq.errors import BadInput
from vertexq.simulator.faults import Action, Fault, Faults, fault_from_json, fault_to_json
from vertexq.simulator.server import Simulator

OBJECT = "/storage/v1/b/prompts/o"
UPLOAD = "/upload/storage/v1/b/prompts/o?uploadType=media&name="
CONTENT = bytes(range(256)) * 4096  # 1 MiB, several pieces of 256 KiB
DOWNLOAD = "storage.objects.download"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Run a simulator with one bucket and the object ``a``."""
    async with Simulator(buckets=["prompts"]) as running, aiohttp.ClientSession(running.url) as session:
        async with session.post(UPLOAD + "a", data=CONTENT) as answer:
            assert answer.status == 200
        yield running


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for it."""
    async with aiohttp.ClientSession(simulator.url) as session:
        yield session


async def download(http: aiohttp.ClientSession, span: str = "") -> tuple[int, str, bytes]:
    """Return status, ``Content-Range`` and bytes of ``a``."""
    headers = {"Range": f"bytes={span}"} if span else {}
    async with http.get(f"{OBJECT}/a?alt=media", headers=headers) as answer:
        return answer.status, answer.headers.get("Content-Range", ""), await answer.read()


@pytest.mark.parametrize("after_bytes", [0, 1, 300_000])
async def test_a_download_is_cut(simulator: Simulator, http: aiohttp.ClientSession, after_bytes: int) -> None:
    """So many bytes arrive, then the connection ends; the next download is whole again."""
    simulator.faults.add(Fault(method=DOWNLOAD, action=Action.CUT, after_bytes=after_bytes))

    async with http.get(f"{OBJECT}/a?alt=media") as answer:
        assert await answer.content.readexactly(after_bytes) == CONTENT[:after_bytes]
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.readexactly(1)

    assert (await download(http))[2] == CONTENT


@pytest.mark.parametrize(("note", "seen"), [("empty-list", []), ("halved-list", ["a", "c"])])
async def test_a_list_lags_behind(
    simulator: Simulator, http: aiohttp.ClientSession, note: str, seen: list[str]
) -> None:
    """Objects are left out of one answer, and there in the next."""
    for name in ("b", "c"):
        async with http.post(UPLOAD + name, data=b"x") as answer:
            assert answer.status == 200
    simulator.faults.add(Fault(method="storage.objects.list", action=Action.OTHER, note=note))

    assert (await listed(http), await listed(http)) == (seen, ["a", "b", "c"])


async def listed(http: aiohttp.ClientSession) -> list[str]:
    """Return the names that a list shows."""
    async with http.get(OBJECT) as answer:
        return [item["name"] for item in (await answer.json()).get("items", [])]


async def test_a_download_stalls(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """After so many bytes nothing more comes, until the caller loses patience."""
    simulator.faults.add(Fault(method=DOWNLOAD, action=Action.STALL, after_bytes=10, delay_s=3600))

    async with http.get(f"{OBJECT}/a?alt=media") as answer:
        assert await answer.content.readexactly(10) == CONTENT[:10]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answer.content.readany()


async def test_bytes_are_corrupted(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """One byte is wrong, and nothing in the answer tells but the checksum."""
    simulator.faults.add(Fault(method=DOWNLOAD, action=Action.CORRUPT, after_bytes=300_000))

    status, _, got = await download(http)

    assert (status, len(got)) == (200, len(CONTENT))
    assert [at for at in range(len(got)) if got[at] != CONTENT[at]] == [300_000]


async def test_ranges_are_answered_wrongly(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A short body, a range ignored, a range that is not the one asked for."""
    simulator.faults.add(
        Fault(method=DOWNLOAD, action=Action.SHORTEN, after_bytes=3),
        Fault(method=DOWNLOAD, action=Action.IGNORE_RANGE),
        Fault(method=DOWNLOAD, action=Action.WRONG_RANGE),
    )

    assert await download(http, "10-19") == (206, "bytes 10-19/1048576", CONTENT[10:13])
    assert await download(http, "10-19") == (200, "", CONTENT)
    assert await download(http, "10-19") == (206, "bytes 11-20/1048576", CONTENT[10:20])


@pytest.mark.parametrize(("status", "after"), [(429, 7.0), (429, None), (503, None), (500, None)])
async def test_a_call_is_refused(
    simulator: Simulator, http: aiohttp.ClientSession, status: int, after: float | None
) -> None:
    """An error of Google's form, with ``Retry-After`` or without, and no effect."""
    simulator.faults.add(
        Fault(method="storage.objects.insert", action=Action.REFUSE, status=status, retry_after_s=after)
    )

    async with http.post(UPLOAD + "new", data=b"x") as answer:
        assert (answer.status, answer.headers.get("Retry-After")) == (status, "7" if after else None)
        assert (await answer.json())["error"]["code"] == status
    async with http.get(f"{OBJECT}/new") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("action", [Action.ACCEPT_THEN_DROP, Action.ACCEPT_THEN_STALL])
async def test_an_upload_takes_effect_without_an_answer(
    simulator: Simulator, http: aiohttp.ClientSession, action: Action
) -> None:
    """The connection ends and the object is there."""
    simulator.faults.add(Fault(method="storage.objects.insert", action=action, delay_s=0.01))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post(UPLOAD + "new", data=b"x")

    async with http.get(f"{OBJECT}/new") as answer:
        assert answer.status == 200
    assert simulator.faults.log("storage.objects.insert")[-1].status == 0


@pytest.mark.parametrize("action", [Action.ACCEPT_THEN_REFUSE, Action.GARBLE])
async def test_an_upload_takes_effect_with_a_wrong_answer(
    simulator: Simulator, http: aiohttp.ClientSession, action: Action
) -> None:
    """The answer is an error, or no JSON, and the object is there."""
    simulator.faults.add(Fault(method="storage.objects.insert", action=action))

    async with http.post(UPLOAD + "new", data=b"x") as answer:
        assert answer.status == (503 if action is Action.ACCEPT_THEN_REFUSE else 200)
    async with http.get(f"{OBJECT}/new") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(("action", "after_bytes"), [(Action.DROP, 0), (Action.CUT, 1000)])
async def test_an_upload_is_dropped_before_it_counts(
    simulator: Simulator, http: aiohttp.ClientSession, action: Action, after_bytes: int
) -> None:
    """The connection ends, at once or in the middle of the body, and there is no object."""
    simulator.faults.add(Fault(method="storage.objects.insert", action=action, after_bytes=after_bytes))

    with pytest.raises(aiohttp.ClientError):
        await http.post(UPLOAD + "new", data=CONTENT)

    async with http.get(f"{OBJECT}/new") as answer:
        assert answer.status == 404


async def test_a_delay_changes_nothing_else(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A late answer is the right one."""
    simulator.faults.add(Fault(method="storage.*", action=Action.DELAY, delay_s=0.01))

    assert (await download(http))[2] == CONTENT


async def test_faults_are_armed_over_http(http: aiohttp.ClientSession) -> None:
    """Another process can arm, see and forget faults, and read what happened."""
    wanted = {"method": DOWNLOAD, "action": "refuse", "match": "/o/a", "status": 429, "times": None}
    async with http.post("/_simulator/faults", json=[wanted]) as answer:
        armed = await answer.json()
    assert (await download(http))[0] == 429
    async with http.get("/_simulator/faults") as answer:
        assert await answer.json() == armed
    async with http.delete("/_simulator/faults") as answer:
        assert await answer.json() == []
    assert (await download(http))[0] == 200

    async with http.get("/_simulator/log", params={"method": DOWNLOAD}) as answer:
        log = await answer.json()
    assert [(entry["status"], entry["fault"]) for entry in log] == [(429, "refuse"), (200, "")]


@pytest.mark.parametrize("body", [b"{", b'{"method": "x"}', b'[{"method": 1}]', b"[7]"])
async def test_a_fault_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, body: bytes) -> None:
    """400 with a sentence, and nothing is armed."""
    async with http.post("/_simulator/faults", data=body) as answer:
        assert (answer.status, bool((await answer.json())["error"])) == (400, True)
    async with http.get("/_simulator/faults") as answer:
        assert await answer.json() == []


def test_a_fault_concerns_a_method_and_a_part_of_the_label() -> None:
    """The method is a shell pattern, the label is looked into."""
    faults = Faults(Fault(method="storage.objects.*", match="o/a", action=Action.DROP, times=None))

    assert faults.take("storage.objects.get", "/b/x/o/a")
    assert not faults.take("storage.objects.get", "/b/x/o/b")
    assert not faults.take("storage.buckets.get", "/b/x/o/a")


def test_a_fault_fires_so_many_times_after_so_many_passed() -> None:
    """Two pass, three suffer, the rest passes."""
    faults = Faults(Fault(method="*", action=Action.DROP, skip=2, times=3))

    assert [bool(faults.take("m")) for _ in range(7)] == [False, False, True, True, True, False, False]
    assert faults.armed() == []


def test_a_caller_takes_only_what_it_can_do() -> None:
    """A fault of another kind waits for the caller that can do it."""
    faults = Faults(Fault(method="*", action=Action.CUT))

    assert faults.take("m", among={Action.DROP}) is None
    assert faults.take("m", among={Action.CUT, Action.DROP})


def test_a_storm_ends_by_the_clock() -> None:
    """``for_s`` counts from the first time it fires."""
    now_s = [100.0]
    faults = Faults(Fault(method="*", action=Action.REFUSE, times=None, for_s=10), clock=lambda: now_s[0])
    fired: list[bool] = []

    for at_s in (200.0, 205.0, 210.0, 211.0):
        now_s[0] = at_s
        fired.append(bool(faults.take("m")))

    assert fired == [True, True, True, False]


def test_the_dice_follow_the_seed() -> None:
    """The same seed gives the same faults; about so many as the probability says."""

    def run(seed: int) -> list[bool]:
        faults = Faults(Fault(method="*", action=Action.DROP, times=None, probability=0.3), seed=seed)
        return [bool(faults.take("m")) for _ in range(1000)]

    assert run(1) == run(1) != run(2)
    assert 250 < sum(run(1)) < 350


def test_a_fault_survives_json() -> None:
    """What is written is what is read; an unknown field is named."""
    fault = Fault(method="m", action=Action.STALL, times=None, delay_s=1.5, retry_after_s=2, note="n")

    assert fault_from_json(fault_to_json(fault)) == fault
    with pytest.raises(BadInput, match="'colour'"):
        fault_from_json({"method": "m", "action": "drop", "colour": "red"})
