"""A simulated Google, a Redis that may be killed, a ledger: where worker processes send batches."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.contract.ledger_values import running
from vertexq.embedded import Valkey
from vertexq.embedded.process import Child, await_true
from vertexq.ledger import Ledger
from vertexq.simulator.server import Simulator
from vertexq.testing import running_simulator


@dataclass(frozen=True, slots=True)
class Site:
    """A simulated Google, a Redis that may be killed, a ledger, and the environment that leads to them."""

    home: Path
    google: Simulator
    valkey: Valkey
    ledger: Ledger
    environment: dict[str, str]

    def shares(self, batches: int, *, workers: int) -> list[list[str]]:
        """Make batches ready, each of a submission of its own, and deal them out to workers."""
        ids = [running(self.ledger, f"s-{number}")[0].id for number in range(batches)]
        return [ids[first::workers] for first in range(workers)]

    def has_accepted(self, creates: int) -> bool:
        """Wait until Google has accepted so many creates."""
        return await_true(lambda: len(self.google.accepted) >= creates, timeout_s=60)

    def accepted_s(self) -> list[float]:
        """Return when Google accepted creates, oldest first."""
        return sorted(create.time.timestamp() for create in self.google.accepted)


def all_end(children: list[Child], *, timeout_s: float) -> bool:
    """Wait until every worker has sent its share."""
    ended = await_true(lambda: not any(child.running() for child in children), timeout_s=timeout_s)
    return ended and all(child.wait(0) == 0 for child in children)


def logs(site: Site) -> str:
    """Return the end of what the workers said."""
    return "\n".join(path.read_text()[-2000:] for path in sorted(site.home.glob("sender-*.log")))


@contextmanager
def sites(home: Path, ledger_url: str) -> Generator[Site]:
    """Build a site."""
    with ExitStack() as stack:
        valkey = Valkey(home / "valkey").start()
        stack.callback(valkey.stop)
        ledger = Ledger.open(ledger_url)
        stack.callback(ledger.close)
        google = stack.enter_context(running_simulator(buckets=["bucket"]))
        environment = {
            "VERTEXQ_HOME": str(home),
            "VERTEXQ_BROKER_URL": valkey.url,
            "VERTEXQ_LEDGER_URL": ledger_url,
            "VERTEXQ_STAGING": "gs://bucket/prefix",
            "VERTEXQ_VERTEX_ENDPOINT": google.url,
            "STORAGE_EMULATOR_HOST": google.url,
            "GOOGLE_CLOUD_PROJECT": "p",
            "VERTEXQ_RUNNING_JOBS": "1000",
            "VERTEXQ_SETTLE_TIME_S": "3",
        }
        yield Site(home, google, valkey, ledger, environment)
