"""Output that is broken, hostile or odd: none of it ends a worker or spoils what stands beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.outputs_house import answer, check_store, ended_job, read_by, write
from vertexq import Outcome, SubmissionState, steps
from vertexq.model import Batch, GcsUri, JobStats
from vertexq.results import QuarantinedLine, Result
from vertexq.states import BatchState

GOOD = [answer(n) for n in (1, 2, 3)]
_HEAD = (
    b'{"key":"r0-0","status":"","response":{"candidates":[{"content":{"parts":[{"text":"%b"}]},'
    b'"finishReason":"STOP"}]%b}}\n'
)


def line(text: bytes = b"Yes.", more: bytes = b"") -> bytes:
    """Return an output line of row 0 whose bytes are the test's own."""
    return _HEAD % (text, b"," + more if more else b"")


SET_ASIDE: dict[str, bytes] = {
    "a BOM": b"\xef\xbb\xbf" + line(),
    "not JSON": b"<html>502</html>\n",
    "half a line": line()[:50] + b"\n",
    "a raw NUL": line(b"a\x00b"),
    "bytes that are no UTF-8": line(b"\xff\xfe"),
    "a raw surrogate": line(b"\xed\xa0\x80"),
    "a number": b"7\n",
    "a list": b"[" + line().rstrip() + b"]\n",
    "a key that is another's": b'{"key":"r9-9","response":{"candidates":[]}}\n',
    "no key": line().replace(b'"key":"r0-0",', b""),
    "an error and an answer": line().replace(b'"status":""', b'"status":"Bad Request: {}"'),
    "a depth of 100,000": line(more=b'"x":' + b"[" * 100_000 + b"]" * 100_000),
    "a line over the limit": line(b"x" * 200_000),
}
READ: dict[str, tuple[bytes, str]] = {
    "CRLF": (line().replace(b"\n", b"\r\n"), "Yes."),
    "blank lines": (b"\n\r\n" + line() + b"\n\n", "Yes."),
    "U+2028 and U+0085": (line("a\u2028b\u2029c\x85d".encode()), "a\u2028b\u2029c\x85d"),
    "line ends in escapes": (line(b"a\\nb\\r\\u000bc"), "a\nb\r\x0bc"),
    "a key twice": (line().replace(b'"status":""', b'"status":"no","status":""'), "Yes."),
    "unknown fields": (line(more=b'"new":{"deep":[1,2,{"x":null}]}'), "Yes."),
    "nulls": (line(more=b'"usageMetadata":null,"modelVersion":null'), "Yes."),
}
EITHER: dict[str, bytes] = {
    "an escaped NUL": line(b"a\\u0000b"),
    "an escaped surrogate": line(b"\\ud800"),
    "NaN": line(more=b'"avgLogprobs":NaN'),
    "1e999": line(more=b'"avgLogprobs":1e999'),
    "a depth of 1,025": line(more=b'"x":' + b"[" * 1_025 + b"]" * 1_025),
    "a depth of 1,000": line(more=b'"x":' + b"[" * 1_000 + b"]" * 1_000),
    "5,000 digits": line(more=b'"x":' + b"9" * 5_000),
    "2^64 in a response": line(more=b'"x":18446744073709551616'),
    "a count of 2^64": line(more=b'"usageMetadata":{"promptTokenCount":18446744073709551616}'),
    "a negative count": line(more=b'"usageMetadata":{"promptTokenCount":-5}'),
}


async def read(
    house: House, data: bytes, *, store: str = "results"
) -> tuple[Batch, dict[str, Result], list[QuarantinedLine]]:
    """Read an object through the real steps; check that the account is the store's."""
    narrow = house.with_options(line_limit_bytes=100_000, chunk_rows=2, output_wait_s=0.0)
    with house.client() as client:
        batch = await ended_job(narrow, client, rows=4, store=store)
        await write(narrow, batch, "predictions.jsonl", data)
        batch = await read_by(narrow, batch)
        rows = check_store(narrow, client, batch)
        await narrow.until_rest("read")
        assert len(list(client.results("read"))) == 4
    lines = await house.services.stores.call(store, lambda opened: list(opened.quarantine("read")))
    assert batch.quarantined_lines == len(lines)
    return batch, rows, lines


@pytest.mark.parametrize("hazard", SET_ASIDE)
async def test_what_is_no_answer_is_kept_aside_with_its_place(house: House, hazard: str) -> None:
    """The rest of the chunk goes in; the row is missing by name."""
    bad = SET_ASIDE[hazard]
    batch, rows, lines = await read(house, GOOD[0] + bad + GOOD[1] + GOOD[2])

    assert batch.counts.succeeded == len(rows) == 3
    assert [(one.source_offset, one.size_bytes) for one in lines] == [(len(GOOD[0]), len(bad) - 1)]
    assert len(lines[0].raw) <= 1024


@pytest.mark.parametrize("hazard", READ)
async def test_what_is_only_odd_is_read(house: House, hazard: str) -> None:
    """Lines end at line feeds only, and what nobody knows is passed over."""
    odd, text = READ[hazard]
    batch, rows, _ = await read(house, GOOD[0] + odd + GOOD[1] + GOOD[2])

    assert (batch.counts.succeeded, batch.quarantined_lines) == (4, 0)
    assert rows["0"].text == text


@pytest.mark.parametrize("store", ["results", "lines"])
@pytest.mark.parametrize("hazard", EITHER)
async def test_what_a_store_cannot_hold_is_exact_or_set_aside(house: House, hazard: str, store: str) -> None:
    """Never changed in silence; never a dead worker."""
    batch, rows, lines = await read(house, GOOD[0] + EITHER[hazard] + GOOD[1] + GOOD[2], store=store)

    assert batch.counts.succeeded == 3 + ("0" in rows and rows["0"].outcome is Outcome.SUCCEEDED)
    assert lines or rows["0"].outcome is Outcome.SUCCEEDED


async def test_a_last_line_without_its_end_is_a_row_when_it_is_whole(house: House) -> None:
    """Only the newline is missing."""
    batch, _, _ = await read(house, b"".join([line(), *GOOD]).rstrip(b"\n"))

    assert (batch.counts.succeeded, batch.quarantined_lines) == (4, 0)


async def test_a_last_line_that_is_cut_off_is_set_aside_as_such(house: House) -> None:
    """The object's checksum was right, so nothing more will come."""
    batch, _, lines = await read(house, b"".join(GOOD) + line()[:70])

    assert batch.counts.succeeded == 3
    assert [one.source_offset for one in lines] == [sum(map(len, GOOD))]
    assert lines[0].reason.startswith("the object ends within this line")


@pytest.mark.parametrize("data", [b"", b"\n\n\n", b"\r\n"])
async def test_an_empty_object_is_no_output(house: House, data: bytes) -> None:
    """Every row is missing by name."""
    with house.client() as client:
        batch = await ended_job(house, client, rows=4)
        await write(house, batch, "predictions.jsonl", data)
        batch = await read_by(house.with_options(output_wait_s=0.0), batch)
        status = await house.until_rest("read")

    assert batch.counts.total == 0
    assert status.counts.missing == 4


async def test_a_line_of_100_mib_passes_without_being_held(house: House) -> None:
    """It is set aside with its size and its beginning; what follows is read."""
    size = 100 * 2**20

    async def blocks() -> AsyncIterator[bytes]:
        yield GOOD[0] + b'{"key":"r0-0","response":"'
        for _ in range(100):
            yield b"x" * 2**20
        yield b'"}\n' + GOOD[1] + GOOD[2]

    with house.client() as client:
        batch = await ended_job(house, client, rows=4)
        uri = f"{batch.output_directory}/predictions.jsonl"
        await house.services.storage.upload(GcsUri.parse(uri), blocks())
        batch = await read_by(house, batch)
        check_store(house, client, batch)
    (bad,) = await house.services.stores.call("results", lambda store: list(store.quarantine("read")))

    assert batch.counts.succeeded == 3
    assert bad.size_bytes > size
    assert "more than the limit" in bad.reason


async def test_an_array_instead_of_lines_stops_with_a_sentence(house: House) -> None:
    """Quarantine is for lines, not for a whole object of another kind; a person is asked."""
    strict = house.with_options(bad_lines=20, chunk_rows=5)
    with house.client() as client:
        batch = await ended_job(strict, client, rows=4)
        await write(strict, batch, "predictions.jsonl", b"[\n" + b"  {},\n" * 500 + b"]\n")
        await steps.ingest(strict.services, batch.id)
        status = client.get("read")

    assert status.state is SubmissionState.PARKED
    assert "502 of 502 lines cannot be read" in status.reason
    assert "VERTEXQ_BAD_LINES" in status.reason


async def test_an_object_that_was_replaced_stops_with_a_sentence(house: House) -> None:
    """Lines of two generations are never mixed."""
    slow = house.with_options(slice_s=0.0, chunk_rows=1, chunk_bytes=1)
    big = b"".join(answer(n, "é" * 1_000_000) for n in range(4))
    with house.client() as client:
        batch = await ended_job(slow, client, rows=4)
        await write(slow, batch, "predictions.jsonl", big)
        await steps.ingest(slow.services, batch.id)
        await write(slow, batch, "predictions.jsonl", b"".join(GOOD))
        await slow.until(lambda: client.get("read").resting)
        status = client.get("read")

    assert status.state is SubmissionState.PARKED
    assert "it was replaced or deleted" in status.reason


@pytest.mark.parametrize("torn", [0, 2], ids=["short", "bad lines"])
async def test_output_that_comes_late_is_waited_for(house: House, torn: int) -> None:
    """Google has counted more answers than the output shows; bad lines are none: they may be copies."""
    patient = house.with_options(output_wait_s=20.0)
    ledger = house.services.ledger
    with house.client() as client:
        batch = await ended_job(patient, client, rows=4)
        ledger.update_batch(ledger.batch(batch.id), stats=JobStats(successful=4), next_action_at=ledger.now())
        bad = (GOOD[2][:50] + b"\n") * torn
        await write(patient, batch, "predictions-00000-of-00002.jsonl", GOOD[0] + GOOD[1] + bad)
        await steps.ingest(patient.services, batch.id)
        waiting = ledger.batch(batch.id)
        await write(patient, batch, "predictions-00001-of-00002.jsonl", GOOD[2] + line())
        batch = await read_by(patient, batch)

    assert (waiting.state, waiting.counts.succeeded, waiting.quarantined_lines) == (BatchState.ENDED, 2, torn)
    assert batch.counts.succeeded == 4


async def test_output_that_never_comes_is_missing_in_the_end(house: House) -> None:
    """The wait has an end, and the difference is named."""
    hasty = house.with_options(output_wait_s=0.3)
    ledger = house.services.ledger
    with house.client() as client:
        batch = await ended_job(hasty, client, rows=4)
        ledger.update_batch(ledger.batch(batch.id), stats=JobStats(successful=4), next_action_at=ledger.now())
        await write(hasty, batch, "predictions.jsonl", GOOD[0])
        batch = await read_by(hasty, batch)
        status = await hasty.until_rest("read")

    assert (status.counts.succeeded, status.counts.missing) == (1, 3)
