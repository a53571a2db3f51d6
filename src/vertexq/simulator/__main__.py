"""The simulator as a program: ``python -m vertexq.simulator --bucket demo``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vertexq.errors import Unreachable
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit code: 0, or 3 when the port is taken."""
    options = _parser().parse_args(arguments)
    buckets: list[str] = options.bucket or ["vertexq"]
    simulator = Simulator(
        seed=options.seed,
        timing=Timing().faster(options.speed),
        data_dir=options.data_dir,
        port=options.port,
        host=options.host,
        buckets=buckets,
    )
    try:
        asyncio.run(
            serve_until_signal(simulator, lambda url: print(environment(url, buckets[0]), flush=True))  # noqa: T201
        )
    except Unreachable as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


async def serve_until_signal(simulator: Simulator, announce: Callable[[str], None]) -> None:
    """Serve, announce the URL once it answers, and stop on SIGINT or SIGTERM."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    async with simulator:
        announce(simulator.url)
        await asked.wait()


def environment(url: str, bucket: str) -> str:
    """Return the variables that send a client to the simulator at ``url``, as lines for a shell."""
    return "\n".join(
        [
            f"export STORAGE_EMULATOR_HOST={url}",
            f"export BIGQUERY_EMULATOR_HOST={url}",
            f"export VERTEXQ_VERTEX_ENDPOINT={url}",
            f"export VERTEXQ_STAGING=gs://{bucket}/staging",
            "export GOOGLE_CLOUD_PROJECT=simulated-project",
            "export GOOGLE_CLOUD_LOCATION=us-central1",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vertexq.simulator",
        description="Google on localhost: Vertex AI batch prediction jobs, Cloud Storage and BigQuery.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8090, help="port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir", type=Path, help="keep objects and jobs here; without it nothing is kept"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides everything left to chance")
    parser.add_argument(
        "--bucket",
        action="append",
        default=[],
        metavar="NAME",
        help="a bucket that is there (vertexq); repeatable",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast jobs go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
