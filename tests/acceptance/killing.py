"""A world in which a worker dies at a point of our choice, and an oracle that counts what was paid for."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import orjson

from vertexq import Client
from vertexq.embedded.process import Child, Command, await_true
from vertexq.failpoints import Failpoint
from vertexq.ledger import Ledger
from vertexq.settings import Settings
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.testing import running_simulator
from worker import health
from worker.stack import ROOT

BUCKET = "kills"
MODEL = "gemini-2.5-flash"
ROWS = 25
CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"
START_S, DEATH_S, END_S = 60.0, 60.0, 90.0
QUICK = {
    "VERTEXQ_BATCH_ROWS": "10",
    "VERTEXQ_POLL_INTERVAL_S": "0.2",
    "VERTEXQ_POLL_LONGEST_S": "0.5",
    "VERTEXQ_SWEEP_INTERVAL_S": "0.2",
    "VERTEXQ_RESEND_AFTER_S": "1",
    "VERTEXQ_SETTLE_TIME_S": "1",
    "VERTEXQ_LEASE_S": "2",
    "VERTEXQ_HEARTBEAT_S": "0.4",
    "VERTEXQ_STOP_AFTER_S": "1",
    "VERTEXQ_CREATES_PER_MINUTE": "6000",
    "VERTEXQ_RUNNING_JOBS": "100",
    "VERTEXQ_RETRY_WAIT_S": "0.2",
}


@dataclass
class World:
    """A ledger, a broker, a simulated Google, and one worker with beat, of which a point may be armed."""

    home: Path
    environment: dict[str, str]
    simulator: Simulator
    worker: Child | None = None
    armed: Failpoint | None = None
    _started: int = field(default=0)

    @property
    def log(self) -> str:
        """Return the end of what the workers have said."""
        return (self.home / "worker.log").read_text(errors="replace")[-6000:]

    def token(self, point: Failpoint) -> Path:
        """Return the file that must be there for a point to fire, and that firing takes away."""
        return self.home / f"token-{point.value}"

    def arm(self, point: Failpoint) -> None:
        """Have a worker that dies at ``point`` the next time it gets there."""
        if self.worker is None or self.armed is not point or not self.worker.running():
            self.start(point)
        self.token(point).touch()

    def man(self) -> None:
        """Have a worker that lives."""
        if self.worker is None or not self.worker.running():
            self.start(Failpoint.STAGE_CLAIMED)

    def start(self, point: Failpoint) -> None:
        """Start a worker in the place of the last one; it dies at ``point`` once the token is there."""
        self.stop()
        settings = Settings.from_env(self.environment)
        self._started += 1
        node = f"killed-{self._started}@test"
        options = ("-c", "1", "-B", "-s", self.home / "beat", "-n", node, "-l", "info")
        self.worker = Child(
            Command(
                args=[
                    *(sys.executable, "-m", "celery", "-A", "worker", "-q", "worker"),
                    *(*options, "--without-gossip", "--without-mingle", "--without-heartbeat"),
                ],
                log=self.home / "worker.log",
                cwd=ROOT,
                env={
                    **os.environ,
                    **self.environment,
                    "VERTEXQ_FAILPOINT": f"{point.value}@{self.token(point)}",
                },
            )
        )
        self.armed = point
        assert await_true(lambda: not health.worker_fault(settings, node=node), timeout_s=START_S), self.log

    def await_death(self, point: Failpoint) -> None:
        """Wait until the worker has died by SIGKILL, at the point that was armed."""
        assert self.worker is not None
        code = self.worker.wait(DEATH_S)
        assert code == -signal.SIGKILL, f"it ended with {code}, not at {point.value}: {self.log}"
        assert not self.token(point).exists(), f"something else than {point.value} killed it"

    def stop(self) -> None:
        """End the worker, if one runs. Safe to repeat."""
        if self.worker is not None:
            self.worker.stop(grace_s=10)
            self.worker = None

    def client(self) -> Client:
        """Return a producer."""
        return Client(environ=self.environment)

    def put(self, name: str, rows: Iterable[object]) -> str:
        """Store rows as JSON lines; return the object's URI."""
        data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        self._post(f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}", data)
        return f"gs://{BUCKET}/{name}"

    def pay_twice(self, batch_id: str) -> None:
        """Have Google accept the create of a batch once more."""
        self._post("/_simulator/creates", orjson.dumps({"display_name": batch_id}))

    def _post(self, path: str, data: bytes) -> None:
        asked = Request(self.simulator.url + path, data=data, method="POST")  # noqa: S310  (our own loopback)
        with urlopen(asked, timeout=30) as answer:  # noqa: S310
            assert answer.status == 200

    def faults(self, client: Client, submission_id: str, keys: Sequence[str]) -> list[str]:
        """Return what is wrong at the end: batches not paid for exactly once, rows not stored once."""
        with closing(Ledger.open(self.environment["VERTEXQ_LEDGER_URL"])) as ledger:
            batches = [batch.id for batch in ledger.batches(submission_id) if not batch.online]
        paid = Counter(create.display_name for create in self.simulator.accepted)
        found = [f"{one} was paid for {paid[one]} times" for one in batches if paid[one] != 1]
        stored = Counter(result.key for result in client.results(submission_id))
        found += [f"row {key} is stored {stored[key]} times" for key in keys if stored[key] != 1]
        found += [f"row {key} was never sent" for key in stored if key not in keys]
        return found if batches else ["nothing was staged"]

    def online_rows(self, submission_id: str) -> int:
        """Return how many rows of a submission were to be answered online."""
        with closing(Ledger.open(self.environment["VERTEXQ_LEDGER_URL"])) as ledger:
            return sum(batch.rows for batch in ledger.batches(submission_id) if batch.online)


def trouble(point: Failpoint, submission_id: str) -> list[Fault]:
    """Return what Google must do wrong so that a submission gets to ``point``."""
    if point is Failpoint.RECONCILE_SENT_BACK:
        return [Fault(method=CREATE, action=Action.DROP, match=submission_id)]
    if point in (Failpoint.RECONCILE_AMBIGUOUS, Failpoint.RECONCILE_LOOKED):
        return [Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP, match=submission_id)]
    return []


@contextmanager
def killing_world(home: Path, broker_url: str, **settings: str) -> Generator[World]:
    """Make the world; nothing of it outlives the block."""
    with ExitStack() as stack:
        simulator = stack.enter_context(running_simulator(timing=Timing.fast(), buckets=[BUCKET]))
        environment = {
            "VERTEXQ_HOME": str(home),
            "VERTEXQ_BROKER_URL": broker_url,
            "VERTEXQ_LEDGER_URL": f"sqlite:///{home}/ledger.db",
            "VERTEXQ_STORE_RESULTS": f"sqlite:///{home}/results.db",
            "VERTEXQ_STAGING": f"gs://{BUCKET}/staging",
            "VERTEXQ_VERTEX_ENDPOINT": simulator.url,
            "STORAGE_EMULATOR_HOST": simulator.url,
            "GOOGLE_CLOUD_PROJECT": "kills",
            "GOOGLE_CLOUD_LOCATION": "us-central1",
            **QUICK,
            **settings,
        }
        world = World(home, environment, simulator)
        stack.callback(world.stop)
        yield world
