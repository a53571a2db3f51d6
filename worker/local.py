"""``python -m worker.local``: the demonstration, and the whole application on one machine.

``demo`` starts everything, runs ``examples/enqueue.py`` against it and stops everything; ``demo --keep``
leaves it running; ``up`` runs it until Ctrl-C and keeps its data; ``down`` stops what runs.
Only one of them runs at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType

from vertexq.embedded.process import Watchdog, await_true
from vertexq.errors import BadInput, VertexqError
from worker.stack import (
    ROOT,
    Stack,
    clean,
    read_environment,
    record_file,
    recorded,
    stop_recorded,
    write_environment,
)

PLACE = Path(".vertexq")
ENVIRONMENT = PLACE / "env"
PARTS = 4
LOOK_S = 0.2
DEMO_SPEED = 0.25  # 2,000 rows take eight seconds: long enough to watch them
DEMO_BEHAVIOUR = '{"quota_rows": 0.005}'  # one row in 200 gets a 429: they are tried again, in a second round


def main(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo_options = commands.add_parser("demo", help="start everything, enqueue prompts, show results, stop")
    demo_options.add_argument("--keep", action="store_true", help="leave everything running")
    demo_options.add_argument("--rows", type=int, default=2_000, help="how many prompts (2000)")
    commands.add_parser("up", help="run everything until Ctrl-C")
    commands.add_parser("down", help="stop what runs below .vertexq: a kept demo, or up in another terminal")
    given = parser.parse_args(arguments)
    try:
        if given.command == "demo":
            return demo(rows=given.rows, keep=given.keep)
        return up() if given.command == "up" else down()
    except VertexqError as error:
        say(f"vertexq: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def demo(*, rows: int, keep: bool) -> int:
    """Enqueue ``rows`` prompts from application code and show what comes of them."""
    home = PLACE / "demo"
    _refuse_beside(PLACE / "local", "make up runs; stop it (Ctrl-C there, or make down) before a demo")
    if len(recorded(home)) == PARTS:
        return _once_more(home, rows)
    stop_recorded(home)
    clean(home)
    with running(home, keep=keep, speed=DEMO_SPEED, behaviour=DEMO_BEHAVIOUR) as stack:
        code = _watched(stack, _example(rows))
        if code not in (0, 1):
            say(f"\nThe example ended with code {code}; the logs are in {stack.home / 'logs'}")
        if keep:
            say(_tour())
        return code


def _once_more(home: Path, rows: int) -> int:
    """Give the kept demo another submission."""
    say(
        f"A demo is running already below {home}; it gets this submission, and everything keeps running "
        "afterwards (make down stops it).\n"
    )
    code = subprocess.run(_example(rows), env=_saved_environment(), check=False).returncode  # noqa: S603
    say("\nEverything keeps running, as before; make down stops it.")
    return code


def _refuse_beside(other: Path, reason: str) -> None:
    """Raise ``BadInput`` when the stack in ``other`` runs: both would write the same file of variables."""
    if len(recorded(other)) == PARTS:
        raise BadInput(f"below {other} {reason}")


def up() -> int:
    """Run everything until Ctrl-C; data of an earlier run is still there."""
    home = PLACE / "local"
    _refuse_beside(PLACE / "demo", "a demo runs; stop it (make down) before make up")
    stop_recorded(home)
    with running(home, keep=False) as stack:
        say(_tour())
        say("Ctrl-C stops everything.")
        while not stack.dead():
            time.sleep(LOOK_S)
        say(f"{stack.dead()} has ended by itself; its log is {stack.log(stack.dead())}")
        return 1


def down() -> int:
    """Stop what an earlier command left running, and what another terminal runs."""
    stopped = [
        name for home in sorted(PLACE.glob("*")) if record_file(home).exists() for name in stop_recorded(home)
    ]
    ENVIRONMENT.unlink(missing_ok=True)
    say(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")
    return 0


@contextlib.contextmanager
def running(home: Path, *, keep: bool, speed: float = 1.0, behaviour: str = "{}") -> Generator[Stack]:
    """Run a stack; afterwards stop it, unless it is to be kept and nothing went wrong."""
    stack = Stack(home, speed=speed, behaviour=behaviour)
    started_s = time.monotonic()
    with _signals_end_us():
        try:
            say(f"Starting Valkey, a simulated Google Cloud, a worker and beat below {home} ...")
            stack.start()
            write_environment(ENVIRONMENT, stack.environment)
            say(f"Ready after {time.monotonic() - started_s:.1f} s.\n")
            yield stack
            if keep:
                stack.release()
        except BaseException:
            keep = False
            raise
        finally:
            if not keep:
                _stop(stack)


def say(text: str) -> None:
    """Print to standard output, at once."""
    print(text, flush=True)  # noqa: T201  (a command that people watch)


def _stop(stack: Stack) -> None:
    """Stop the stack; a second Ctrl-C must not leave half of it running."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    started_s = time.monotonic()
    try:
        stack.stop()
        ENVIRONMENT.unlink(missing_ok=True)
    finally:
        signal.signal(signal.SIGINT, before)
    say(f"\nEverything was stopped in {time.monotonic() - started_s:.1f} s.")


@contextlib.contextmanager
def _signals_end_us() -> Generator[None]:
    """Make a closed terminal and a polite kill stop the stack as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _example(rows: int) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / "enqueue.py"), "--rows", str(rows)]


def _watched(stack: Stack, args: list[str]) -> int:
    """Run a program to its end, or until a process of the stack dies under it."""
    program = subprocess.Popen(args, env=stack.full_environment())  # noqa: S603
    watchdog = Watchdog(program.pid, number=signal.SIGTERM)
    try:
        await_true(lambda: program.poll() is not None or bool(stack.dead()), timeout_s=float("inf"))
        if program.poll() is None:
            say(f"{stack.dead()} has ended by itself; its log is {stack.log(stack.dead())}")
            program.terminate()
        return program.wait()
    except BaseException:
        program.terminate()
        program.wait()
        raise
    finally:
        watchdog.stand_down()


def _saved_environment() -> dict[str, str]:
    """Return the environment of the stack that is running."""
    stack = Stack(PLACE / "demo")
    stack.environment = read_environment(ENVIRONMENT)
    return stack.full_environment()


def _tour() -> str:
    return f"""
Everything keeps running. To look around:

  source {ENVIRONMENT}                      the variables for the commands below
  .venv/bin/vertexq status                 what was enqueued
  .venv/bin/vertexq watch ID               how far one of them is, until it ends
  .venv/bin/vertexq results ID             its results
  .venv/bin/vertexq cancel ID              stop one of them
  .venv/bin/vertexq doctor                 is everything well?
  make flower                              tasks and workers in the browser
  make down                                stop everything
"""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
