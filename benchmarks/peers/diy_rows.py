"""What a good engineer writes alone: google-cloud-storage's reader and ``json.loads``, from an emulator.

Prints one JSON object: rows, CPU seconds without the import, and the version.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

CHUNK_BYTES = 8 << 20


def read(bucket: str, name: str) -> tuple[int, float]:
    """Read every line of an object into a tuple of what one wants of it; return how many, and CPU seconds."""
    storage: Any = import_module("google.cloud.storage")
    free = import_module("google.auth.credentials").AnonymousCredentials()
    blob = storage.Client(project="p", credentials=free).bucket(bucket).blob(name)
    rows, started = 0, time.process_time()
    with blob.open("r", chunk_size=CHUNK_BYTES) as file:
        for line in file:
            row = json.loads(line)
            answer, usage = row["response"]["candidates"][0], row["response"]["usageMetadata"]
            wanted = row["key"], answer["content"]["parts"][0]["text"], usage["totalTokenCount"]
            rows += bool(wanted)
    return rows, time.process_time() - started


if __name__ == "__main__":
    rows, seconds = read(sys.argv[1], sys.argv[2])
    print(json.dumps({"rows": rows, "seconds": seconds, "version": version("google-cloud-storage")}))
