"""Match answers whose key is not ours: by the producer's own key, or by the echoed request's fingerprint.

Keys are ours, and nothing is needed of this, unless an object is used as it is or Google did not echo them.
"""

from __future__ import annotations

from vertexq.families import family_for
from vertexq.families.wire import parsed
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, GcsUri
from vertexq.steps.parts import read_manifest_line
from vertexq.steps.row_index import RowIndex
from vertexq.steps.services import Services


class ManifestMatch:
    """The second way from an output line to the row that was sent.

    Nothing is loaded while every line carries our key. When one does not, the manifest of the batch is read
    once: of each row its key, its fingerprint and its index, some 60 MB for 200,000 rows, whatever the rows
    hold. With ``key_field`` the rows have keys of the producer's in that field, and none of ours; with
    ``resumes`` also keys that an earlier job of ours has given them.
    """

    def __init__(
        self, services: Services, batch: Batch, *, key_field: str = "", resumes: bool = False
    ) -> None:
        self.loaded = False
        self._services = services
        self._batch = batch
        self._own_keys = bool(key_field)
        self._wire = family_for(batch).wire
        self._ranks = bytearray()
        self._rows = RowIndex(self._wire, key_field=key_field, resumes=resumes)

    def __call__(self, line: bytes) -> tuple[int, str] | None:
        """Return (index, producer's key) of the row whose answer ``line`` is, or None."""
        row = parsed(line) if self.loaded else None
        return None if row is None else self._rows.find(row, self._ranks)

    def is_needed(self, item: Block | Oversized) -> bool:
        """Tell whether a line of the block came back without a key of ours."""
        if isinstance(item, Oversized):
            return False
        theirs = self._own_keys or not self._wire.key
        mark = self._wire.mark
        return any(line and (theirs or mark not in line) for line in item.lines)

    @property
    def has_twins(self) -> bool:
        """Tell whether two rows carry the same request."""
        return self._rows.has_twins

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
            self._rows.add(read_manifest_line(line))
