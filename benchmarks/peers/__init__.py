"""What others make of the same lines, each called as its own users call it, in a process of its own.

``make peers`` installs them: LiteLLM and curator have environments of their own, because their pins clash.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import lines, parse
from benchmarks.load import OUTPUT
from benchmarks.measure import Measured
from benchmarks.objects import serving
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage

ROWS, ROUNDS = 10_000, 3
HOME = Path(__file__).parent
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: a peer that calls home fails


def run() -> Iterator[Measured]:
    """Measure in CPU seconds of the reading process, without imports."""
    with tempfile.TemporaryDirectory() as folder:
        path = lines.write(Path(folder) / "predictions.jsonl", ROWS)
        mine = _ours(lambda: parse.typed(path, ROWS))
        yield from _against("LiteLLM's streaming transform", "litellm_rows", "peers", path, mine, ">= 10")
        yield from _against("curator's reading", "curator_rows", "peers-curator", path, mine, ">= 30")
        yield from _diy(Path(folder))


def _against(name: str, script: str, venv: str, path: Path, mine: float, aim: str) -> Iterator[Measured]:
    python = HOME.parents[1] / f".venv-{venv}" / "bin" / "python"
    if not python.exists():
        print(f"{name} is not measured: make peers first", file=sys.stderr)
        return
    said = _said([str(python), str(HOME / f"{script}.py"), str(path)], {})
    yield _measured(f"parse to typed rows, against {name}", mine, said, aim)


def _diy(home: Path) -> Iterator[Measured]:
    """Measure a download as well: from the simulator, which is a process of its own."""
    with serving(home, ROWS) as endpoint:
        name = str(OUTPUT.join("predictions.jsonl").name)
        script = [sys.executable, str(HOME / "diy_rows.py"), OUTPUT.bucket, name]
        said = _said(script, {"STORAGE_EMULATOR_HOST": endpoint})
        mine = _ours(lambda: asyncio.run(_downloaded(endpoint)))
    yield _measured("download and parse to typed rows, against blob.open and json.loads", mine, said, ">= 1")


async def _downloaded(endpoint: str) -> None:
    async with Transport(await default_tokens(emulator=True)) as transport:
        storage, uri = Storage(transport, endpoint=endpoint), OUTPUT.join("predictions.jsonl")
        pinned = await storage.info(uri)
        reading = parse.Typing(ROWS)
        async for piece in storage.download(uri, generation=pinned.generation):
            reading.feed(piece)
        reading.close()


def _ours(work: Callable[[], object]) -> float:
    """Return the median of our CPU seconds; the first round warms up."""
    took: list[float] = []
    for _ in range(ROUNDS + 1):
        gc.collect()
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return statistics.median(took[1:])


def _said(command: list[str], environ: Mapping[str, str]) -> float:
    """Run a peer; return its CPU seconds. Whatever it would fetch, it cannot reach."""
    proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), NOWHERE)
    whole = {**os.environ, **proxies, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **environ}
    done = subprocess.run(command, env=whole, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["rows"] == ROWS, said
    return float(said["seconds"])


def _measured(name: str, mine_s: float, theirs_s: float, aim: str) -> Measured:
    return Measured(
        name=name, ours=ROWS / mine_s, peer=ROWS / theirs_s, ratio=theirs_s / mine_s, unit="rows/s", aim=aim
    )
