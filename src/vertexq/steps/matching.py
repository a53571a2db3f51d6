"""Match answers whose key did not come back: by the fingerprint of the echoed request, as a multiset."""

from __future__ import annotations

import orjson

from vertexq.keys import fingerprint
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, GcsUri
from vertexq.steps.parts import read_manifest_line
from vertexq.steps.services import Services

_KEY_MARK = b'"key":"r'
"""How a key of ours looks in a line; looking for it is far cheaper than parsing the line twice."""


class ManifestMatch:
    """The second way from an output line to the row that was sent.

    Nothing is loaded while every line carries its key. When one does not, the manifest of the batch (at most
    a few hundred thousand fingerprints, a bounded amount of memory) is read once. Rows with the same request
    are interchangeable: each answer takes the first of them that has none.
    """

    def __init__(self, services: Services, batch: Batch) -> None:
        self.loaded = False
        self._services = services
        self._batch = batch
        self._ranks = bytearray()
        self._rows: dict[bytes, list[tuple[int, str]]] = {}

    def __call__(self, line: bytes) -> tuple[int, str] | None:
        """Return (index, producer's key) of the row whose answer ``line`` is, or None."""
        if not self.loaded:
            return None
        candidates = self._rows.get(_echo(line) or b"", [])
        for index, key in candidates:
            if not self._ranks[index]:
                return index, key
        return candidates[0] if candidates else None

    def is_needed(self, item: Block | Oversized) -> bool:
        """Tell whether a line of the block came back without a key of ours."""
        if isinstance(item, Oversized):
            return False
        return any(line and _KEY_MARK not in line for line in item.lines)

    async def load(self, ranks: bytearray) -> None:
        """Read the manifest; ``ranks`` is the live state that tells which rows have their answer."""
        self._ranks = ranks
        uri = GcsUri.parse(self._batch.manifest_uri)
        pinned = await self._services.storage.info(uri)
        splitter = LineSplitter()
        async for data in self._services.storage.download(uri, generation=pinned.generation):
            for item in splitter.feed(data):
                self._add(item)
        for item in splitter.close():
            self._add(item)
        self.loaded = True

    def _add(self, item: Block | Oversized) -> None:
        for line in item.lines if isinstance(item, Block) else []:
            index, key, digest = read_manifest_line(line)
            self._rows.setdefault(digest, []).append((index, key))


def _object(line: bytes) -> dict[str, object] | None:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _echo(line: bytes) -> bytes | None:
    parsed = _object(line)
    request = parsed.get("request") if parsed else None
    return fingerprint(request) if request is not None else None
