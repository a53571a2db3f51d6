"""The simulated BigQuery in bad weather: uploads in pieces, restarts, refusals, jobs that come late."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator

BASE = "/bigquery/v2/projects/p"
UPLOAD = "/upload/bigquery/v2/projects/p/jobs"
TABLE = {"projectId": "p", "datasetId": "d", "tableId": "t"}
QUANTUM_BYTES = 262_144


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with an empty table ``d.t``."""
    async with Simulator() as simulator, aiohttp.ClientSession(simulator.url) as session:
        await _make_table(session)
        yield session


async def _make_table(session: aiohttp.ClientSession) -> None:
    await _post(session, "/datasets", {"datasetReference": {"datasetId": "d"}})
    schema = {"fields": [{"name": "key", "type": "STRING"}]}
    await _post(session, "/datasets/d/tables", {"tableReference": TABLE, "schema": schema})


async def _post(session: aiohttp.ClientSession, path: str, body: object) -> Any:
    async with session.post(BASE + path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def _load(job_id: str = "") -> dict[str, object]:
    reference = {"jobReference": {"jobId": job_id}} if job_id else {}
    load = {"destinationTable": TABLE, "sourceFormat": "NEWLINE_DELIMITED_JSON"}
    return {**reference, "configuration": {"load": load}}


async def _begin(session: aiohttp.ClientSession, body: object) -> str:
    async with session.post(UPLOAD, params={"uploadType": "resumable"}, json=body) as answer:
        assert answer.status == 200
        return answer.headers["Location"]


async def _rows(session: aiohttp.ClientSession) -> int:
    async with session.get(f"{BASE}/datasets/d/tables/t") as answer:
        return int((await answer.json())["numRows"])


async def test_an_upload_goes_up_in_pieces(http: aiohttp.ClientSession) -> None:
    """Each piece is kept; a question says how much; the last one makes the job, once."""
    line = json.dumps({"key": "x" * 1000}).encode() + b"\n"
    data = line * (2 * QUANTUM_BYTES // len(line) + 1)
    where = await _begin(http, _load())
    said: list[int] = []
    spans = [(0, QUANTUM_BYTES), (QUANTUM_BYTES, len(data))]
    for start, end in spans:
        total = str(len(data)) if end == len(data) else "*"
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{total}"}
        async with http.put(where, data=data[start:end], headers=headers, allow_redirects=False) as answer:
            said.append(answer.status)
        async with http.put(where, headers={"Content-Range": "bytes */*"}, allow_redirects=False) as answer:
            said.append(answer.status)

    assert said == [308, 308, 200, 200]
    assert await _rows(http) == data.count(b"\n")


async def test_a_job_may_take_effect_after_its_caller_was_dropped(tmp_path: Path) -> None:
    """And another that takes the id in the meantime wins."""
    async with Simulator(data_dir=tmp_path) as simulator, aiohttp.ClientSession(simulator.url) as session:
        await _make_table(session)
        late = Fault(method="bigquery.jobs.insert", action=Action.ACCEPT_LATE, delay_s=0.2)
        simulator.faults.add(late)
        query = {"query": {"query": "INSERT INTO d.t (key) VALUES ('a')", "useLegacySql": False}}
        body = {"jobReference": {"jobId": "mine"}, "configuration": query}
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await _post(session, "/jobs", body)
        async with session.get(f"{BASE}/jobs/mine") as answer:
            assert answer.status == 404

        await _post(session, "/jobs", body)
        simulator.faults.add(Fault(method="bigquery.jobs.get", action=Action.DELAY, delay_s=0.5))
        async with session.get(f"{BASE}/jobs/mine") as answer:
            assert (await answer.json())["status"]["state"] == "DONE"

        assert await _rows(session) == 1


async def test_what_was_loaded_outlives_a_restart(tmp_path: Path) -> None:
    """Tables, rows and ids of jobs are there again; a job that was running has ended in an error."""
    async with Simulator(data_dir=tmp_path) as simulator, aiohttp.ClientSession(simulator.url) as session:
        await _make_table(session)
        await _post(session, "/datasets/d/tables/t/insertAll", {"rows": [{"json": {"key": "a"}}]})
        slow = Fault(method="bigquery.jobs.insert", action=Action.OTHER, note="slow", delay_s=60)
        simulator.faults.add(slow)
        query = {"query": {"query": "SELECT 1", "useLegacySql": False}}
        await _post(session, "/jobs", {"jobReference": {"jobId": "slow"}, "configuration": query})

    async with Simulator(data_dir=tmp_path) as simulator, aiohttp.ClientSession(simulator.url) as session:
        async with session.get(f"{BASE}/jobs/slow") as answer:
            status = (await answer.json())["status"]

        assert (status["state"], status["errorResult"]["reason"]) == ("DONE", "stopped")
        assert await _rows(session) == 1


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_call_is_refused_when_told_to(status: int) -> None:
    """With Google's words for it, and when to come back."""
    async with Simulator() as simulator, aiohttp.ClientSession(simulator.url) as session:
        refuse = Fault(method="bigquery.datasets.*", action=Action.REFUSE, status=status, retry_after_s=2)
        simulator.faults.add(refuse)
        async with session.get(f"{BASE}/datasets/d") as answer:
            error = (await answer.json())["error"]

    words = {401: "authError", 403: "accessDenied", 429: "rateLimitExceeded", 503: "backendError"}
    assert (answer.status, answer.headers["Retry-After"]) == (status, "2")
    assert error["errors"][0]["reason"] == words[status]


async def test_a_token_is_asked_for() -> None:
    """With a required token, calls without it are refused."""
    async with Simulator(required_token="t") as simulator, aiohttp.ClientSession(simulator.url) as session:
        async with session.get(f"{BASE}/datasets") as answer:
            assert answer.status == 401
        async with session.get(f"{BASE}/datasets", headers={"Authorization": "Bearer t"}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DECLARE x INT64 DEFAULT 1; SELECT x", "supported|Syntax"),
        ("SELECT * FROM d.INFORMATION_SCHEMA.TABLES", "INFORMATION_SCHEMA is not simulated"),
        (
            "EXPORT DATA OPTIONS(uri='gs://b/*.json', format='JSON') AS SELECT 1",
            "not supported by the simulator",
        ),
        ("SELECT ARRAY_AGG(key LIMIT 1) FROM d.t", "Not supported by the simulator: LIMIT inside ARRAY_AGG"),
        ("COPY d.t TO '/tmp/x'", "."),
        ("SELECT * FROM `/etc/passwd`", "."),
    ],
)
async def test_what_is_not_simulated_is_refused(http: aiohttp.ClientSession, query: str, said: str) -> None:
    """It is never pretended, and never reaches a file of this machine."""
    body = {"query": query, "useLegacySql": False, "requestId": uuid.uuid4().hex}
    async with http.post(f"{BASE}/queries", json=body) as answer:
        error = (await answer.json())["error"]["message"]

    assert answer.status in {400, 404}
    assert re.search(said, error), error
