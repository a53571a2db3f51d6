"""What the containers' health checks say."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vertexq.ledger import Ledger
from vertexq.settings import Settings
from worker import health

NODE = "celery@here"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings with a home and a ledger of the test's own, and put them into the environment."""
    monkeypatch.setenv("VERTEXQ_HOME", str(tmp_path))
    settings = Settings.from_env()
    Ledger.open(settings.ledger_url).close()
    return settings


def test_a_worker_is_well_while_it_gives_signs_of_life(settings: Settings) -> None:
    """Unknown, well, silent for too long, stopped on purpose."""
    assert health.main([NODE]) == 1

    health.note_alive(settings, node=NODE)
    assert health.main([NODE]) == 0

    long_ago = time.time() - health.SILENT_S - 5
    os.utime(health.alive_file(settings, node=NODE), (long_ago, long_ago))
    assert "has been silent for 65 s" in health.worker_fault(settings, node=NODE)

    health.forget(settings, node=NODE)
    assert health.worker_fault(settings, node=NODE) == f"the worker {NODE} is not running"


def test_ticks_are_well_when_one_reached_the_ledger_lately(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tick proves beat, broker, worker and ledger at once."""
    assert health.main(["sweep"]) == 1
    assert "no tick of beat has reached the ledger" in capsys.readouterr().err

    ledger = Ledger.open(settings.ledger_url)
    ledger.beat("sweep")
    ledger.close()

    assert health.main(["sweep"]) == 0


def test_settings_that_are_wrong_are_a_fault_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check says what is wrong instead of showing a traceback."""
    monkeypatch.setenv("VERTEXQ_LEASE_S", "soon")

    assert health.main([]) == 1
    assert "VERTEXQ_LEASE_S" in capsys.readouterr().err
