"""The vertexq command for tests: in this process, or as the installed program."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from tests.fundamentals.house import built
from vertexq.cli import app
from vertexq.model import Policy
from vertexq.simulator.timing import Timing

MODEL = "gemini-2.5-flash"
PROGRAM = Path(sys.executable).with_name("vertexq")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the one JSON value on standard output."""
        return orjson.loads(self.out)

    def json_lines(self) -> list[Any]:
        """Return the JSON values on standard output, one a line."""
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs commands with a home of their own; no broker is there unless ``environ`` names one."""

    home: Path
    environ: Mapping[str, str]

    def run(self, *args: object, stdin: bytes | None = None) -> Said:
        """Run a command in this process; errors that are none of vertexq's come through."""
        found = CliRunner().invoke(app, [str(arg) for arg in args], env=self.environ, input=stdin)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Said(found.exit_code, found.stdout, found.stderr)

    def start(
        self, *args: object, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the installed program."""
        return subprocess.Popen(
            [PROGRAM, *map(str, args)],
            env={**os.environ, **self.environ},
            cwd=self.home,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )


def command_line(home: Path, **environ: str) -> CommandLine:
    """Return a command line whose ledger and stores are below ``home``."""
    return CommandLine(
        home,
        {
            "VERTEXQ_HOME": str(home),
            "VERTEXQ_LEDGER_URL": f"sqlite:///{home}/ledger.db",
            "VERTEXQ_STORE_RESULTS": f"sqlite:///{home}/results.db",
            "VERTEXQ_BROKER_URL": f"redis+socket://{home}/nobody.sock",
            **environ,
        },
    )


def lines(path: Path, *rows: object) -> Path:
    """Write rows as JSON Lines; bytes are written as they are."""
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))
    return path


def finish(home: Path, rows: Sequence[object], *, submission_id: str) -> None:
    """Let a whole vertexq, with a simulated Google, answer some rows into the stores below ``home``.

    Rows that cannot be sent end as failed.
    """

    async def run() -> None:
        async with built(home, Timing.fast()) as house:
            with house.client() as client:
                client.submit(
                    rows, model=MODEL, store="results", id=submission_id, policy=Policy(set_aside=True)
                )
            await house.until_rest(submission_id)

    asyncio.run(run())
