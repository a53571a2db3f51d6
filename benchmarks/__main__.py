"""Run the benchmarks, all or by name; print one JSON object a line."""

from __future__ import annotations

import logging
import sys

import orjson
import structlog

from benchmarks import check, creates, enqueue, memory, parquet, parse, peers, poll, postgres, processes
from benchmarks.measure import Measured

ALL = {
    "parse": parse.run,
    "peers": peers.run,
    "processes": processes.run,
    "check": check.run,
    "postgres": postgres.run,
    "parquet": parquet.run,
    "memory": memory.run,
    "enqueue": enqueue.run,
    "creates": creates.run,
    "poll": poll.run,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks; return 2 for a name that is none."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)  # what steps log would stand between the lines of JSON
    for name in names or ALL:
        for measured in ALL[name]():
            show(measured)
    return 0


def show(measured: Measured) -> None:
    """Print a measurement as one line of JSON."""
    print(orjson.dumps(measured.to_json()).decode(), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
