"""How a worker starts and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.service.crew import NODE, Crew, start_worker
from vertexq.ledger import Record
from worker import health
from worker.stack import ROOT

GRACE_S = 20


def test_an_idle_worker_ends_cleanly_when_asked(crew: Crew) -> None:
    """SIGTERM: exit code 0, and its sign of life is gone."""
    assert crew.sweeps(), crew.log

    code = crew.worker.stop(grace_s=GRACE_S)

    assert code == 0, crew.log
    assert health.worker_fault(crew.settings, node=NODE) == f"the worker {NODE} is not running"


def test_a_busy_worker_lets_go_of_its_step_and_ends(
    tmp_path: Path, worker_environment: dict[str, str]
) -> None:
    """SIGTERM while a step hangs: it is interrupted after a while; its lease is free at once."""
    patient = {"VERTEXQ_REQUEST_DEADLINE_S": "120", "VERTEXQ_STOP_AFTER_S": "0.5"}
    crew = start_worker(tmp_path, {**worker_environment, **patient}, "-c", "1")
    crew.keep_busy("one")

    code = crew.worker.stop(grace_s=GRACE_S)

    assert code == 0, crew.log
    assert "step_interrupted" in crew.log
    assert crew.ledger.claim(Record.SUBMISSION, "one", owner="another", lease_s=20) is not None
    crew.close()


def test_a_worker_without_settings_says_all_that_is_missing() -> None:
    """Exit code 2 and a line for each variable; nothing is started."""
    found = run_worker(VERTEXQ_LEASE_S="soon", VERTEXQ_BROKER_URL="redis://broker.example")
    missing = run_worker()

    assert found.returncode == missing.returncode == 2
    assert "VERTEXQ_LEASE_S must be a number from 0.5 to 3600, not 'soon'" in found.stderr
    assert "GOOGLE_CLOUD_PROJECT is not set" in missing.stderr
    assert "VERTEXQ_STAGING is not set" in missing.stderr
    assert "Traceback" not in found.stderr + missing.stderr


def test_a_worker_without_credentials_does_not_start(tmp_path: Path) -> None:
    """It could do nothing but fail; exit code 3 and one sentence instead."""
    found = run_worker(
        GOOGLE_CLOUD_PROJECT="p",
        VERTEXQ_STAGING="gs://b/p",
        GOOGLE_APPLICATION_CREDENTIALS=f"{tmp_path}/missing.json",
    )

    assert found.returncode == 3
    assert "no Google credentials" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_worker_with_a_broken_price_file_does_not_start(tmp_path: Path) -> None:
    """It would keep no budget; exit code 2 and a sentence instead."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"prices": [{"model": "gemini-9"}]}')

    found = run_worker(GOOGLE_CLOUD_PROJECT="p", VERTEXQ_STAGING="gs://b/p", VERTEXQ_PRICES=str(prices))

    assert found.returncode == 2
    assert 'price 1 (gemini-9) has no "input"' in found.stderr
    assert "Traceback" not in found.stderr


def test_a_pool_of_threads_is_refused() -> None:
    """Steps of one process share an event loop, so threads cannot run them."""
    simulated = {
        "VERTEXQ_VERTEX_ENDPOINT": "http://127.0.0.1:9",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
    }
    found = run_worker("--pool", "threads", GOOGLE_CLOUD_PROJECT="p", VERTEXQ_STAGING="gs://b/p", **simulated)

    assert found.returncode == 2
    assert "--pool prefork" in found.stderr


def test_a_failpoint_that_nobody_knows_is_refused() -> None:
    """It would never fire, and a test that armed it would prove nothing."""
    variables = {
        "VERTEXQ_VERTEX_ENDPOINT": "http://127.0.0.1:9",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "GOOGLE_CLOUD_PROJECT": "p",
        "VERTEXQ_STAGING": "gs://b/p",
    }
    found = run_worker(VERTEXQ_FAILPOINT="stage.nowhere", **variables)

    assert found.returncode == 2
    assert "'stage.nowhere'; the names are stage.claimed, " in found.stderr


def run_worker(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start a worker that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "-q", "worker", *options],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
