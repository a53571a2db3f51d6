"""LiteLLM's streaming transform of a predictions file, as its proxy calls it; has an environment of its own.

Prints one JSON object: rows, CPU seconds without the import, and the version.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before the import: it would fetch the map
PIECE_BYTES = 256 * 1024


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield the file's bytes."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def transform(path: Path) -> tuple[int, float]:
    """Turn every line into LiteLLM's form; return how many came out, and CPU seconds."""
    module: Any = import_module("litellm.llms.vertex_ai.files.transformation")
    config = module.VertexAIFilesConfig()
    options: dict[str, Any] = {"request_url": "http://127.0.0.1/x", "logging_obj": None, "litellm_params": {}}
    started, rows = time.process_time(), 0
    result: Any = await config.transform_file_content_stream(
        stream_iterator=pieces(path), headers={}, **options
    )
    async for piece in result.stream_iterator:
        rows += int(piece.count(b"\n"))
    return rows + 1, time.process_time() - started  # the last line has no end


if __name__ == "__main__":
    rows, seconds = asyncio.run(transform(Path(sys.argv[1])))
    print(json.dumps({"rows": rows, "seconds": seconds, "version": version("litellm")}))
