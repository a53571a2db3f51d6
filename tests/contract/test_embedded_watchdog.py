"""The watchdog knows a starter that died from one that stood it down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from vertexq.embedded import watchdog
from vertexq.embedded.process import Watchdog, await_true


def sleeper() -> subprocess.Popen[bytes]:
    """Start a process that does nothing."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def test_a_byte_stands_it_down_and_an_end_does_not() -> None:
    """The end of the pipe without a byte is what the death of the starter looks like."""
    for sent, expected in ((b"q", False), (b"", True)):
        reading, writing = os.pipe()
        os.write(writing, sent)
        os.close(writing)

        assert watchdog.orphaned(os.getpid(), reading) is expected
        os.close(reading)


def test_it_goes_when_there_is_nothing_to_watch() -> None:
    """A process that ended and was waited for needs no watchdog, and its id may soon be another's."""
    process = sleeper()
    process.kill()
    process.wait()
    reading, writing = os.pipe()

    assert not watchdog.orphaned(process.pid, reading)
    assert not watchdog.alive(process.pid)
    assert watchdog.alive(1)
    os.close(reading)
    os.close(writing)


def test_a_starters_death_ends_the_process_after_its_grace() -> None:
    """The watchdog of a killed starter sends the signal it was given."""
    process = sleeper()
    start = (
        "import os, signal, sys\n"
        "from vertexq.embedded.process import Watchdog\n"
        f"Watchdog({process.pid}, number=signal.SIGINT, grace_s=0.1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", start], check=False)

    assert process.wait(timeout=20) == -signal.SIGINT


def test_what_is_released_lives_on() -> None:
    """After standing down, the process outlives its starter."""
    process = sleeper()
    dog = Watchdog(process.pid, number=signal.SIGTERM)
    dog.stand_down()
    dog.stand_down()

    assert not await_true(lambda: process.poll() is not None, timeout_s=0.2)
    process.kill()
    process.wait()
