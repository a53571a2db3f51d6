"""A simulator for tests that are not asynchronous: it runs on a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Faults
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing


@contextmanager
def running_simulator(
    *,
    seed: int = 0,
    timing: Timing | None = None,
    behaviour: Behaviour | None = None,
    faults: Faults | None = None,
    data_dir: Path | None = None,
    port: int = 0,
    buckets: Iterable[str] = (),
    required_token: str = "",
    record_exchanges: bool = False,
) -> Generator[Simulator]:
    """Run a simulator beside the caller and yield it; ``url`` says where. Options as ``Simulator`` has them.

    Raise ``Unreachable`` when the port is taken. On leaving, everything it opened is closed.
    """
    simulator = Simulator(
        seed=seed,
        timing=timing,
        behaviour=behaviour,
        faults=faults,
        data_dir=data_dir,
        port=port,
        buckets=buckets,
        required_token=required_token,
        record_exchanges=record_exchanges,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="vertexq-simulator")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(simulator.start(), loop).result()
        yield simulator
    finally:
        asyncio.run_coroutine_threadsafe(_stop(simulator), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(simulator: Simulator) -> None:
    await simulator.stop()
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
