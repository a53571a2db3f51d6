"""The whole application as real processes, and what tests of model families ask of it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from urllib.request import Request, urlopen

import orjson

from vertexq import Client, Result, Status
from vertexq.ledger import Ledger
from vertexq.model import Batch
from worker.stack import BUCKET, Stack

OWN_MODELS = "projects/simulated-project/locations/us-central1/models"
"""Where models of the project's own are, in the project and location that the worker has by default."""
PACE = {
    "VERTEXQ_POLL_INTERVAL_S": "0.2",
    "VERTEXQ_POLL_LONGEST_S": "0.5",
    "VERTEXQ_OUTPUT_WAIT_S": "1",
    "VERTEXQ_RETRY_WAIT_S": "0.2",
}
_SPEED = 20.0
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A submission that has come to rest: its account, its rows by key, and its batches in the ledger."""

    status: Status
    results: Mapping[str, Result]
    batches: list[Batch]

    @property
    def texts(self) -> dict[str, str | None]:
        """Return each row's text by its key."""
        return {key: result.text for key, result in self.results.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliesHouse:
    """Valkey, simulator, worker and beat; every test uses submissions, objects and tables of its own.

    The stores are ``results`` (SQLite), ``lines`` (JSON Lines), ``duck`` (DuckDB) and ``parquet``.
    """

    stack: Stack
    google: str = field(default="")

    def client(self) -> Client:
        """Return a producer's client; close it."""
        return Client(environ=self.stack.environment)

    def run(self, source: Any, *, store: str = "results", **asked: Any) -> Ran:
        """Submit, wait until nothing more happens by itself, and read the results."""
        with self.client() as client:
            submission = client.submit(source, store=store, **asked)
            status = client.wait(submission.id, timeout_s=_PATIENCE_S)
            results = {result.key: result for result in client.results(submission.id)}
        return Ran(status=status, results=results, batches=self.batches(submission.id))

    def batches(self, submission_id: str) -> list[Batch]:
        """Return the batches of a submission as the ledger has them."""
        ledger = Ledger.open(self.stack.environment["VERTEXQ_LEDGER_URL"])
        try:
            return list(ledger.batches(submission_id))
        finally:
            ledger.close()

    def creates(self, ran: Ran) -> list[dict[str, Any]]:
        """Return the creates that Google accepted for a submission: an oracle outside our code."""
        names = {batch.id for batch in ran.batches}
        log = self.stack.home / "google" / "creates.jsonl"
        lines = log.read_bytes().splitlines() if log.exists() else []
        return [create for line in lines if (create := orjson.loads(line))["display_name"] in names]

    def job(self, batch: Batch) -> dict[str, Any]:
        """Return a batch's job as Google shows it."""
        return self.get(f"/v1/{batch.job_name}")

    def put(self, name: str, data: bytes) -> str:
        """Put an object into the bucket; return its gs:// address."""
        path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
        self._call("POST", path, data, "application/octet-stream")
        return f"gs://{BUCKET}/{name}"

    def put_rows(self, name: str, rows: list[dict[str, Any]]) -> str:
        """Put rows into the bucket as JSON Lines; return the object's gs:// address."""
        return self.put(name, b"".join(orjson.dumps(row) + b"\n" for row in rows))

    def read(self, uri: str) -> bytes:
        """Return an object of the bucket."""
        name = uri.removeprefix(f"gs://{BUCKET}/")
        return self._call("GET", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media")

    def get(self, path: str) -> dict[str, Any]:
        """Ask the simulated Google for a resource."""
        return cast("dict[str, Any]", orjson.loads(self._call("GET", path)))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send the simulated Google an object as JSON."""
        return cast("dict[str, Any]", orjson.loads(self._call("POST", path, orjson.dumps(body)) or b"{}"))

    def behave(self, match: str, **behaviour: Any) -> None:
        """Let jobs fare otherwise whose display name holds ``match``; a batch's id begins so (``b-…``).

        Or whose labels do: ``key=value``.
        """
        self.post("/_simulator/behaviour", {"match": match, **behaviour})

    def _call(self, verb: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        headers = {"Content-Type": kind}
        with urlopen(Request(self.google + path, body, headers, method=verb)) as answer:  # noqa: S310
            return cast("bytes", answer.read())


@contextmanager
def built(home: Path, **settings: str) -> Generator[FamiliesHouse]:
    """Build a house, and take it down again whatever happened; ``settings`` are variables that win."""
    stores = {
        "VERTEXQ_STORE_LINES": f"jsonl:///{home}/lines",
        "VERTEXQ_STORE_DUCK": f"duckdb:///{home}/results.duckdb",
        "VERTEXQ_STORE_PARQUET": f"parquet:///{home}/parquet",
    }
    stack = Stack(home, settings={**PACE, **stores, **settings}, speed=_SPEED)
    try:
        stack.start()
        yield FamiliesHouse(stack=stack, google=stack.environment["STORAGE_EMULATOR_HOST"])
    finally:
        stack.stop()
