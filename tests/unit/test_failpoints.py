"""Points at which a test kills a process: which one fires, and when."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vertexq import failpoints

_PASS = """
import os, sys
from vertexq.failpoints import Failpoint, arm, reach
os.setpgid(0, 0)
arm(sys.argv[1])
for point in (Failpoint.STAGE_CLAIMED, Failpoint.INGEST_READ, Failpoint.STAGE_DONE, Failpoint.INGEST_READ):
    print(point, flush=True)
    reach(point)
"""


@pytest.mark.parametrize(
    ("armed", "reached"),
    [("", 4), ("#1", 1), ("#3", 3), ("#5", 4), ("ingest#2", 4), ("stage#2", 3), ("ingest.read", 2)],
)
def test_a_process_dies_at_the_point_that_is_armed(armed: str, reached: int) -> None:
    """By its name, or as the n-th one it gets to."""
    done = subprocess.run([sys.executable, "-c", _PASS, armed], capture_output=True, text=True, check=False)

    assert len(done.stdout.split()) == reached
    untouched = armed in ("", "#5")
    assert done.returncode == (0 if untouched else -signal.SIGKILL)


def test_a_point_with_a_file_fires_while_the_file_is_there(tmp_path: Path) -> None:
    """It takes the file away, so that it fires once."""
    token = tmp_path / "token"
    token.touch()
    command = [sys.executable, "-c", _PASS, f"#2@{token}"]
    first, second = (subprocess.run(command, capture_output=True, check=False) for _ in range(2))

    assert (first.returncode, second.returncode) == (-signal.SIGKILL, 0)


@pytest.mark.parametrize("text", ["stage.nowhere", "nowhere#1", "#x", "#", "stage#-1"])
def test_what_names_no_point_is_refused(text: str) -> None:
    """It would never fire."""
    with pytest.raises(ValueError, match="point"):
        failpoints.arm(text)
    failpoints.arm("")
