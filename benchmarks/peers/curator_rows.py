"""curator's reading of a predictions file, as its batch processor does it; has an environment of its own.

Only ``json.loads`` and ``parse_api_specific_response`` are timed: no download, no file of results. Prints one
JSON object: rows, CPU seconds without the import, and the version.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

MODEL = "gemini-2.0-flash"
BATCH: dict[str, Any] = {
    "request_file": "r", "id": "1", "created_at": datetime.now(UTC), "finished_at": None,
    "status": "finished", "api_key_suffix": "", "raw_status": "", "raw_batch": {},
    "request_counts": {"total": 1, "failed": 0, "succeeded": 1, "raw_request_counts_object": {}},
}  # fmt: skip
ASKED: dict[str, Any] = {
    "model": MODEL, "messages": [{"role": "user", "content": "x"}], "original_row": {}, "original_row_idx": 0,
}  # fmt: skip
os.environ |= {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
    "GOOGLE_CLOUD_PROJECT": "p",
    "GEMINI_BUCKET_NAME": "b",
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
}


def curators(name: str) -> Any:
    """Return one of curator's modules."""
    return import_module(f"bespokelabs.curator.{name}")


def processor() -> Any:
    """Return curator's processor; it asks for credentials that it does not need here."""
    free = import_module("google.auth.credentials").AnonymousCredentials()
    with patch("google.auth.default", return_value=(free, "p")):
        module = curators("request_processor.batch.gemini_batch_request_processor")
        config = curators("request_processor.config").BatchRequestProcessorConfig(model=MODEL)
        made = module.GeminiBatchRequestProcessor(config)
    formatter = curators("llm.prompt_formatter").PromptFormatter
    made.prompt_formatter = formatter(model_name=MODEL, prompt_func=str)
    return made


def read(path: Path) -> tuple[int, float]:
    """Read every line; return how many were read, and CPU seconds."""
    batch = curators("types.generic_batch").GenericBatch(**BATCH)
    asked = curators("types.generic_request").GenericRequest(**ASKED)
    made, rows = processor(), 0
    started = time.process_time()
    with path.open(encoding="utf-8") as file:
        for line in file:
            found = made.parse_api_specific_response(json.loads(line), asked, batch)
            rows += bool(found.response_message)
    return rows, time.process_time() - started


if __name__ == "__main__":
    rows, seconds = read(Path(sys.argv[1]))
    print(json.dumps({"rows": rows, "seconds": seconds, "version": version("bespokelabs-curator")}))
