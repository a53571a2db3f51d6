"""Makes a file store's directory what an older vertexq would have left: narrower parts, plainer records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from vertexq.google.checksum import extend

Narrow = Callable[[bytes], bytes]
"""Takes the newest columns out of a part's bytes."""


def make_older(root: Path, narrow: Narrow) -> None:
    """Rewrite every part below ``root``, and the records in the form they had before parts were joined."""
    for path in root.rglob(".progress/*.json"):
        record: dict[str, Any] = orjson.loads(path.read_bytes())
        for part in record["parts"]:
            _rewrite(path.parent.parent, part["results"], narrow)
            part["contested_rows"] = sum(piece["contested_rows"] for piece in part.pop("pieces"))
            del part["settled"]
        path.write_bytes(orjson.dumps(record))


def _rewrite(folder: Path, entry: dict[str, Any], narrow: Narrow) -> None:
    path = folder / entry["name"]
    data = narrow(path.read_bytes())
    path.write_bytes(data)
    entry["size_bytes"], entry["crc32c"] = len(data), f"{extend(0, data):08x}"
