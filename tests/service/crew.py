"""A worker in a process of its own, and ways to see what it does."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from vertexq.broker import CeleryHints, producer_app
from vertexq.embedded.process import Child, Command, await_true
from vertexq.ledger import Ledger
from vertexq.model import NewSubmission, SourceKind
from vertexq.names import TaskName
from vertexq.settings import Settings
from vertexq.states import SubmissionState
from worker import health
from worker.stack import ROOT

NODE = "worker@test"


@dataclass(frozen=True, slots=True)
class Crew:
    """One worker, its ledger, and hints to it."""

    settings: Settings
    ledger: Ledger
    hints: CeleryHints
    worker: Child

    @property
    def log(self) -> str:
        """Return what the worker has said so far."""
        return self.worker.command.log.read_text()

    def sweeps(self) -> bool:
        """Send a tick and tell whether it came through to the ledger."""
        before = self.ledger.last_beats().get("sweep")
        self.hints.send_or_raise(TaskName.SWEEP)
        return await_true(lambda: self.ledger.last_beats().get("sweep") != before, timeout_s=30)

    def keep_busy(self, *names: str) -> None:
        """Have the worker read submissions whose source hangs; return once it is at the first."""
        for name in names:
            self.ledger.enqueue(hanging(name))
            self.hints.send_or_raise(TaskName.STAGE, name)
        assert await_true(lambda: self.is_at(names[0]), timeout_s=30), self.log

    def is_at(self, name: str) -> bool:
        """Tell whether the worker has begun with a submission."""
        return self.ledger.submission(name).state is SubmissionState.STAGING

    def close(self) -> None:
        """Stop the worker and let go of connections."""
        self.worker.stop(grace_s=10)
        self.hints.close()
        self.ledger.close()


def start_worker(home: Path, environment: dict[str, str], *options: str) -> Crew:
    """Start a worker and wait until it consumes."""
    settings = Settings.from_env(environment)
    command = Command(
        args=[
            *(sys.executable, "-m", "celery", "-A", "worker", "-q", "worker", "-n", NODE, "-l", "info"),
            *("--without-gossip", "--without-mingle", *options),
        ],
        log=home / "worker.log",
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    ledger, hints = Ledger.open(settings.ledger_url), CeleryHints(producer_app(settings.broker_url))
    crew = Crew(settings, ledger, hints, Child(command))
    assert await_true(lambda: not health.worker_fault(settings, node=NODE), timeout_s=60), crew.log
    return crew


def hanging(name: str) -> NewSubmission:
    """Return a submission whose source is at a Google that never answers."""
    return NewSubmission(
        id=name,
        fingerprint="f",
        model="gemini-2.5-flash",
        store="results",
        source_kind=SourceKind.GCS,
        source="gs://bucket/rows.jsonl",
    )
