"""Every kind of source, end to end: as many answers as rows, each under its own key."""
# pyarrow has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownArgumentType=false

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import zstandard
from pyarrow import parquet

from tests.fundamentals.house import House
from vertexq import BadSource, SubmissionState
from vertexq.async_client import AsyncClient
from vertexq.client import Source
from vertexq.model import GcsUri

MODEL = "gemini-2.5-flash"
WORDS = ["one", "two", 'with "quotes", commas\nand lines']
TEMPLATE = {"contents": [{"role": "user", "parts": [{"text": "Say {{word}}"}]}]}
ROWS = [{"key": f"k{number}", "prompt": f"Say {word}"} for number, word in enumerate(WORDS)]
RECORDS = [{"key": f"k{number}", "word": word} for number, word in enumerate(WORDS)]
KEYS = {"k0", "k1", "k2"}


def jsonl(rows: list[dict[str, str]]) -> bytes:
    """Return rows as JSON Lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


CSV = b'key,word\nk0,one\nk1,two\nk2,"with ""quotes"", commas\nand lines"\n'


def _file(name: str, data: bytes) -> Callable[[Path], Source]:
    def write(home: Path) -> Source:
        (home / name).write_bytes(data)
        return home / name

    return write


def _values(rows: list[dict[str, str]]) -> Callable[[Path], Source]:
    return lambda _home: iter(rows)


def _stream(_home: Path) -> Source:
    return io.BytesIO(jsonl(ROWS))


def _parquet(home: Path) -> Source:
    parquet.write_table(pa.Table.from_pylist(RECORDS), home / "rows.parquet", row_group_size=2)
    return home / "rows.parquet"


def _two_files(home: Path) -> Source:
    (home / "a.jsonl").write_bytes(jsonl(RECORDS[:1]))
    (home / "b.csv.gz").write_bytes(gzip.compress(CSV.replace(b"k0,one\n", b"")))
    return [home / "a.jsonl", home / "b.csv.gz"]


@pytest.mark.parametrize(
    ("source", "template"),
    [
        (_values(ROWS), None),
        (_stream, None),
        (_values(RECORDS), TEMPLATE),
        (_file("rows.jsonl", jsonl(ROWS)), None),
        (_file("rows.jsonl.gz", gzip.compress(jsonl(ROWS))), None),
        (_file("rows.jsonl.zst", zstandard.ZstdCompressor().compress(jsonl(RECORDS))), TEMPLATE),
        (_file("rows.csv", CSV), TEMPLATE),
        (_file("rows.tsv", b"key\tword\nk0\tone\nk1\ttwo\nk2\tthree\n"), TEMPLATE),
        (_parquet, TEMPLATE),
        (_two_files, TEMPLATE),
    ],
    ids=["iterable", "stream", "records", "jsonl", "gz", "zst", "csv", "tsv", "parquet", "two files"],
)
async def test_rows_of_a_producer(
    house: House, tmp_path: Path, source: Callable[[Path], Source], template: dict[str, object] | None
) -> None:
    """Whatever they come from, they are all there, under their keys."""
    with house.client() as client:
        submission = client.submit(source(tmp_path), model=MODEL, store="results", template=template)
        status = await house.until_rest(submission.id)

        assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 3)
        assert {one.key for one in client.results(submission.id)} == KEYS


async def test_rows_of_an_async_iterable(house: House) -> None:
    """They are pulled some at a time, while the event loop goes on."""

    async def records() -> AsyncIterator[dict[str, str]]:
        for record in RECORDS:
            yield record

    async with AsyncClient(environ=house.environ()) as client:
        submission = await client.submit(records(), model=MODEL, store="results", template=TEMPLATE)

    assert (await house.until_rest(submission.id)).counts.succeeded == 3


async def put(house: House, name: str, data: bytes) -> str:
    """Store an object in the producer's part of the bucket; return its URI."""
    uri = GcsUri(bucket="staging", name=f"mine/{name}")
    await house.services.storage.upload(uri, data)
    return str(uri)


@pytest.mark.parametrize(
    ("objects", "source"),
    [
        ({"rows.jsonl": jsonl(RECORDS)}, ["rows.jsonl"]),
        ({"rows.jsonl.gz": gzip.compress(jsonl(RECORDS))}, ["rows.jsonl.gz"]),
        ({"rows.csv.zst": zstandard.ZstdCompressor().compress(CSV)}, ["rows.csv.zst"]),
        ({"a.jsonl": jsonl(RECORDS[:1]), "b.jsonl": jsonl(RECORDS[1:])}, ["a.jsonl", "b.jsonl"]),
        (
            {"p/a.jsonl": jsonl(RECORDS[:1]), "p/b.jsonl": jsonl(RECORDS[1:]), "p/q/c.jsonl": b"{"},
            ["p/*.jsonl"],
        ),
        ({"p/a.jsonl": jsonl(RECORDS[:1]), "p/q/c.jsonl": jsonl(RECORDS[1:]), "p/x": b"{"}, ["p/**.jsonl"]),
    ],
    ids=["one", "gz", "csv.zst", "several", "wildcard", "deep wildcard"],
)
async def test_objects_in_cloud_storage(house: House, objects: dict[str, bytes], source: list[str]) -> None:
    """One or many, packed or plain, by name or by wildcard, which takes only what it matches."""
    for name, data in objects.items():
        await put(house, name, data)
    uris = [f"gs://staging/mine/{name}" for name in source]

    with house.client() as client:
        submission = client.submit(uris, model=MODEL, store="results", template=TEMPLATE)
        status = await house.until_rest(submission.id)

        assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 3)
        assert {one.key for one in client.results(submission.id)} == KEYS


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"key":"a","word":"x"}\n{"key":"b"}\n', "the template needs the field 'word'"),
        (gzip.compress(jsonl(RECORDS))[:-4], "ends in the middle of its archive"),
        (b"", "holds no rows"),
    ],
    ids=["a field is missing", "cut off", "empty"],
)
async def test_objects_that_cannot_be_sent_are_rejected(house: House, data: bytes, says: str) -> None:
    """The sentence says what is wrong; nothing was uploaded, nothing is left in the ledger."""
    uri = await put(house, "bad.jsonl", data)
    with house.client() as client:
        submission = client.submit(uri, model=MODEL, store="results", template=TEMPLATE)
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.REJECTED
    assert says in status.reason
    assert house.simulator.accepted == []


async def test_a_wildcard_that_matches_nothing_is_rejected(house: House) -> None:
    """A slip in a pattern is not an empty success."""
    with house.client() as client:
        submission = client.submit("gs://staging/nowhere/*.jsonl", model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert status.state is SubmissionState.REJECTED
    assert "matches no object" in status.reason


async def test_an_object_that_comes_late_is_waited_for_by_a_person(house: House) -> None:
    """It parks with its name and what to do; enqueued again when it is there, it runs."""
    with house.client() as client:
        submission = client.submit("gs://staging/late.jsonl", model=MODEL, store="results", id="late")
        parked = await house.until_rest(submission.id)
        await house.services.storage.upload(GcsUri.parse("gs://staging/late.jsonl"), jsonl(ROWS))
        client.submit("gs://staging/late.jsonl", model=MODEL, store="results", id="late")
        done = await house.until_rest(submission.id)

    assert parked.state is SubmissionState.PARKED
    assert "gs://staging/late.jsonl is not there" in parked.reason
    assert done.counts.succeeded == len(ROWS)


async def test_a_fault_in_one_of_several_objects_is_found_in_its_line(house: House) -> None:
    """Line numbers run through all objects, so the sentence says what they mean."""
    uris = [
        await put(house, "a.jsonl", jsonl(ROWS)),
        await put(house, "b.jsonl", b'{"prompt":"x"}\n{"promt":1}\n'),
    ]
    with house.client() as client:
        submission = client.submit(uris, model=MODEL, store="results")
        status = await house.until_rest(submission.id)

    assert f"line 5 is line 2 of {uris[1]}" in status.reason


async def test_files_of_two_kinds_and_rows_do_not_mix(house: House, tmp_path: Path) -> None:
    """A URI among prompts would be sent to a model as a prompt, and paid for."""
    with house.client() as client:
        for source in (["gs://staging/a", "Hello"], [tmp_path / "a", "Hello"]):
            with pytest.raises(BadSource, match="not both"):
                client.submit(source, model=MODEL, store="results")
