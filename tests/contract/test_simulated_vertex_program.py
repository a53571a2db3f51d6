"""The simulator as a program of its own: what it prints, how it stops, what it keeps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.prompt_objects import fetch


@contextmanager
def program(*arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run the simulator; yield its process and the variables it printed, and end it."""
    command = [sys.executable, "-m", "vertexq.simulator", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip().removeprefix("export ") for _ in range(5)]
        try:
            yield process, dict(line.split("=", 1) for line in lines)
        finally:
            process.kill()


def test_it_prints_the_variables_that_lead_to_it() -> None:
    """The first bucket is the place for staging, and the URL in the variables answers."""
    with program("--bucket", "demo", "--bucket", "other") as (_, variables):
        url = variables["STORAGE_EMULATOR_HOST"]

        health = json.loads(fetch(f"{url}/_simulator/health"))

        assert health == {"status": "ok"}
        assert variables["VERTEXQ_VERTEX_ENDPOINT"] == url
        assert variables["VERTEXQ_STAGING"] == "gs://demo/staging"
        assert json.loads(fetch(f"{url}/storage/v1/b/other"))["name"] == "other"


def test_a_signal_stops_it_cleanly() -> None:
    """SIGTERM and SIGINT alike: exit code 0, and not a word on the error output."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with program() as (process, _):
            process.send_signal(number)

            _, errors = process.communicate(timeout=20)

            assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    """The exit code says that something cannot be reached."""
    with program("--data-dir", str(tmp_path)) as (_, variables):
        port = variables["STORAGE_EMULATOR_HOST"].rpartition(":")[2]
        command = [sys.executable, "-m", "vertexq.simulator", "--port", port]

        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)

        assert run.returncode == 3
        assert f"cannot listen on 127.0.0.1:{port}" in run.stderr
        assert len(run.stderr.splitlines()) == 1
