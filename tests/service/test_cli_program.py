"""The installed program: help, terminals, Ctrl-C, and the simulator as a process."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.service.command_line import MODEL, PROGRAM, CommandLine, command_line, finish, lines
from vertexq.stores import open_store
from vertexq.testing.store_rows import chunk, row, source_range

COMMANDS = ("check", "submit", "status", "watch", "results", "cancel", "cost", "simulate", "doctor")
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture
def waiting(tmp_path: Path, valkey_url: str) -> CommandLine:
    """Return a command line over one submission, ``w-1``, that no worker takes up."""
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url)
    cli.run(
        "submit", lines(tmp_path / "rows.jsonl", {"prompt": "a"}), "-m", MODEL, "-s", "results", "--id", "w-1"
    )
    return cli


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def on_terminal(cli: CommandLine, *args: object, columns: int = 120) -> tuple[int, str]:
    """Run the program on a terminal; return its exit code and what it drew."""
    ours, theirs = pty.openpty()
    options = {**cli.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    program = CommandLine(cli.home, options).start(*args, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    drawn = b""
    while chunk := _read(ours):
        drawn += chunk
    os.close(ours)
    return program.wait(), drawn.decode()


def _read(terminal: int) -> bytes:
    """Read from a terminal; nothing once the program at its other end is gone (Linux says EIO)."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_help_lists_every_command() -> None:
    """Without a command the help is shown as well."""
    said = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)

    assert all(f" {command} " in said.stdout for command in COMMANDS)
    assert "Exit codes: 0 done" in said.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    """It says what the command does and names its options."""
    said = command_line(tmp_path).run(command, "--help")

    assert (said.code, "--json" in said.out) == (0, True)


def test_help_loads_nothing_heavy() -> None:
    """``vertexq --help`` must be quick: no SQL, no Celery, no HTTP, no arrow."""
    heavy = (
        "sqlalchemy",
        "celery",
        "kombu",
        "redis",
        "aiohttp",
        "google.auth",
        "alembic",
        "psycopg",
        "pyarrow",
    )
    code = f"import sys, vertexq.cli; print([name for name in {heavy!r} if name in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    """One word and a number."""
    said = command_line(tmp_path).run("--version")

    assert (said.code, said.out.split()[0]) == (0, "vertexq")


def test_ctrl_c_while_watching_says_that_the_submission_goes_on(waiting: CommandLine) -> None:
    """Exit code 130, no traceback."""
    watching = waiting.start("watch", "w-1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watching.stdout is not None
    watching.stdout.readline()

    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate()

    assert watching.returncode == 130
    assert err.decode() == "submission w-1 goes on; watch it again with: vertexq watch w-1\n"


@pytest.mark.parametrize("args", [("status",), ("status", "w-1", "--json"), ("watch", "w-1"), ("--help",)])
@pytest.mark.parametrize(
    ("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_an_output_that_takes_nothing_is_one_sentence(
    waiting: CommandLine, args: tuple[str, ...], where: str, why: str
) -> None:
    """A full disk or a closed descriptor: exit code 3, no traceback."""
    said = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {where}', PROGRAM, *args],
        env={**os.environ, **waiting.environ},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.startswith(f"error: standard output cannot be written: {why}; ")
    assert said.stderr.count("\n") == 1


def test_a_reader_that_has_enough_is_no_error(waiting: CommandLine) -> None:
    """``| head`` closes the pipe early: nobody is told."""
    said = subprocess.run(
        ["sh", "-c", '"$0" status --json | head -c 1', PROGRAM],
        env={**os.environ, **waiting.environ},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, "[", "")


def test_results_end_well_when_their_reader_has_enough(tmp_path: Path) -> None:
    """Exit code 0 though the reader leaves after a line, so that ``set -o pipefail`` is no trap."""
    finish(tmp_path, ["one"] * 300, submission_id="many")
    cli = command_line(tmp_path)
    reading = cli.start("results", "many", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reading.stdout is not None
    assert reading.stderr is not None
    reading.stdout.readline()

    reading.stdout.close()

    assert (reading.stderr.read(), reading.wait()) == (b"", 0)
    reading.stderr.close()


def test_a_broker_that_is_away_is_a_warning_and_the_submission_is_safe(tmp_path: Path) -> None:
    """It is in the ledger; the sweeper brings it to a worker."""
    cli = command_line(tmp_path)
    lines(tmp_path / "rows.jsonl", {"prompt": "a"})

    submitting = cli.start(
        "submit", "rows.jsonl", "-m", MODEL, "-s", "results", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, err = submitting.communicate()

    assert submitting.returncode == 0
    assert err.decode().startswith("warning: hint vertexq.stage not sent")


def test_a_terminal_gets_tables_and_a_live_line(tmp_path: Path) -> None:
    """What a key or an answer holds cannot move the cursor."""
    finish(tmp_path, [{"key": "[red]a", "prompt": "one"}, "two"], submission_id="good")
    cli = command_line(tmp_path)

    watched, listed, read = (
        on_terminal(cli, *args) for args in (("watch", "good"), ("status",), ("results", "good"))
    )

    assert (watched[0], listed[0], read[0]) == (0, 0, 0)
    assert "100 %" in watched[1]
    assert "\x1b[?25h" in watched[1]
    assert "good" in listed[1]
    assert "\t" not in listed[1]
    assert "[red]a" in read[1]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_narrow_terminal_keeps_ids_states_and_counts(tmp_path: Path, columns: int) -> None:
    """Whole, on one line a submission; what has no room is left out."""
    finish(tmp_path, ["one", "two"], submission_id="nightly-2026-11-21-search")

    code, drawn = on_terminal(command_line(tmp_path), "status", columns=columns)

    heading, line = _COLOUR.sub("", drawn).splitlines()
    assert code == 0
    assert line.split()[:2] == ["nightly-2026-11-21-search", "done"]
    assert {"id", "state", "sent", "landed", "failed"} <= set(heading.split())
    assert max(len(heading.rstrip()), len(line.rstrip())) <= columns


def test_a_terminal_gets_some_results_and_is_told_of_the_rest(tmp_path: Path) -> None:
    """Fifty unless somebody asks for more."""
    finish(tmp_path, [f"row {number}" for number in range(60)], submission_id="many")

    code, drawn = on_terminal(command_line(tmp_path), "results", "many")

    assert code == 0
    assert drawn.count("succeeded") == 50
    assert "There are more than 50" in drawn


def test_a_vector_is_shown_by_how_it_begins(tmp_path: Path) -> None:
    """One screen has no room for 768 numbers; JSON gives them all."""
    finish(tmp_path, ["one"], submission_id="vectors")
    numbers = [0.123456789, -0.25, 3.0, 4.0]
    made = row("v", submission_id="vectors", embedding=orjson.dumps(numbers), embedding_norm=5.0093)
    with open_store(f"sqlite:///{tmp_path}/results.db") as store:
        store.write(chunk(made, source=source_range(submission_id="vectors")), fence=1)

    said = command_line(tmp_path).run("results", "vectors").out.splitlines()
    (whole,) = [
        one
        for one in command_line(tmp_path).run("results", "vectors", "--json").json_lines()
        if one["key"] == "v"
    ]

    assert "v\tsucceeded\t[0.1235, -0.25, 3, …] (4 numbers, norm 5.009)" in said
    assert whole["embedding"] == pytest.approx(numbers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_says_what_to_set_and_stops_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    """One JSON line once it listens; its bucket is there; exit code 0."""
    options = ("--port", 0, "--bucket", "mine", "--data-dir", tmp_path / "google", "--json")
    simulator = command_line(tmp_path).start("simulate", *options, stdout=subprocess.PIPE)
    assert simulator.stdout is not None
    said = orjson.loads(simulator.stdout.readline())

    with urllib.request.urlopen(f"{said['url']}/storage/v1/b/mine") as answer:  # noqa: S310
        assert answer.status == 200
    simulator.send_signal(number)
    simulator.communicate()

    assert simulator.returncode == 0
    assert said["variables"] == {
        "GOOGLE_CLOUD_PROJECT": "simulated-project",
        "GOOGLE_CLOUD_LOCATION": "us-central1",
        "VERTEXQ_VERTEX_ENDPOINT": said["url"],
        "STORAGE_EMULATOR_HOST": said["url"],
        "BIGQUERY_EMULATOR_HOST": said["url"],
        "VERTEXQ_STAGING": "gs://mine/staging",
    }


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--behaviour", "{"), 2, "--behaviour is not JSON"),
        (("--behaviour", '{"badd_rows":1}'), 2, "a behaviour has no field 'badd_rows'"),
        (("--port", "{taken}"), 3, "cannot listen"),
    ],
)
def test_a_simulator_that_cannot_start_says_why(
    tmp_path: Path, taken_port: int, options: tuple[str, ...], code: int, message: str
) -> None:
    """A wrong option is 2, a port that is taken 3."""
    said = command_line(tmp_path).run(
        "simulate", *(option.replace("{taken}", str(taken_port)) for option in options)
    )

    assert (said.code, message in said.err) == (code, True)
