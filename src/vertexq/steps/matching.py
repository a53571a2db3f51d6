"""Match answers whose key is not ours: by the producer's own key, or by the echoed request's fingerprint.

Keys are ours, and nothing is needed of this, unless an object is used as it is or Google did not echo them.
"""

from __future__ import annotations

from typing import Any

from vertexq.families import family_for
from vertexq.families.wire import parsed
from vertexq.keys import producers_key
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.model import Batch, GcsUri
from vertexq.ranks import is_own as is_answered_here
from vertexq.steps.parts import read_manifest_line
from vertexq.steps.services import Services


class ManifestMatch:
    """The second way from an output line to the row that was sent.

    Nothing is loaded while every line carries our key. When one does not, the manifest of the batch is read
    once: of each row its key, its fingerprint and its index, some 60 MB for 200,000 rows, whatever the rows
    hold. Rows with the same request are interchangeable: each answer takes the first of them that has none
    of this batch's own. An echo in which texts became numbers is matched when only one request can be meant.
    With ``key_field`` the rows have keys of the producer's in that field, and none of ours; with ``resumes``
    also keys that an earlier job of ours has given them.
    """

    def __init__(
        self, services: Services, batch: Batch, *, key_field: str = "", resumes: bool = False
    ) -> None:
        self._resumes = resumes
        self.loaded = False
        self._services = services
        self._batch = batch
        self._key_field = key_field
        self._wire = family_for(batch).wire
        self._ranks = bytearray()
        self._keys: list[str] = []
        self._digests: list[bytes] = []
        self._by_key: dict[str, int] = {}
        self._by_digest: dict[bytes, int | list[int]] = {}  # a list only where requests are the same
        self._retyped: dict[bytes, bytes | None] = {}  # by the fingerprint of a re-typed echo; None: several

    def __call__(self, line: bytes) -> tuple[int, str] | None:
        """Return (index, producer's key) of the row whose answer ``line`` is, or None."""
        row = parsed(line) if self.loaded else None
        if row is None:
            return None
        digest = self._digest(row)
        index = self._keyed(row, digest)
        if index is None and digest is not None:
            index = self._first_open(digest)
        return None if index is None else (index, self._keys[index])

    def is_needed(self, item: Block | Oversized) -> bool:
        """Tell whether a line of the block came back without a key of ours."""
        if isinstance(item, Oversized):
            return False
        theirs = bool(self._key_field) or not self._wire.key
        mark = self._wire.mark
        return any(line and (theirs or mark not in line) for line in item.lines)

    @property
    def has_twins(self) -> bool:
        """Tell whether two rows carry the same request."""
        return len(self._by_digest) < len(self._digests)

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
            row = read_manifest_line(line)
            self._keys.append(row.key)
            self._digests.append(row.fingerprint)
            if self._key_field:
                self._by_key[row.key] = row.index
            if row.retyped:
                known = self._retyped.setdefault(row.retyped, row.fingerprint)
                self._retyped[row.retyped] = known if known == row.fingerprint else None
            before = self._by_digest.setdefault(row.fingerprint, row.index)
            if isinstance(before, list):
                before.append(row.index)
            elif before != row.index:
                self._by_digest[row.fingerprint] = [before, row.index]

    def _digest(self, row: dict[str, Any]) -> bytes | None:
        """Return the fingerprint of the request that a line echoes."""
        digest = self._wire.digest(row)
        if digest in self._by_digest or not self._retyped:
            return digest
        retyped = self._wire.retyped_digest(self._wire.echo(row))
        return self._retyped.get(retyped) if retyped else digest

    def _keyed(self, row: dict[str, Any], digest: bytes | None) -> int | None:
        """Return the row with the echoed key.

        Google's importer may turn what looks like a number into one (``"007"`` into 7), so a key that came
        back as a number counts only with the right request beside it.
        """
        echoed = row.get(self._key_field) if self._key_field else None
        if isinstance(echoed, str):
            return self._by_key.get(producers_key(echoed) if self._resumes else echoed)
        if not isinstance(echoed, int) or isinstance(echoed, bool):
            return None
        index = self._by_key.get(str(echoed))
        return index if index is not None and digest in (None, self._digests[index]) else None

    def _first_open(self, digest: bytes) -> int | None:
        """Return the first row with this request that this batch has not answered, or the first of all."""
        found = self._by_digest.get(digest)
        if not isinstance(found, list):
            return found
        return next((index for index in found if not is_answered_here(self._ranks[index])), found[0])
