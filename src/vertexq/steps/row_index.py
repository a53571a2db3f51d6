"""The rows that were sent, to be found by the echo in an output line: by key or by fingerprint. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vertexq.families.wire import Wire
from vertexq.keys import producers_key
from vertexq.ranks import is_own
from vertexq.steps.parts import ManifestLine


class RowIndex:
    """Takes a batch's rows in the order of their indexes.

    Rows with the same request are interchangeable: each answer takes the first of them that has none of this
    batch's own. An echo in which texts became numbers is matched when only one request can be meant.
    """

    def __init__(self, wire: Wire, *, key_field: str = "", resumes: bool = False) -> None:
        self._wire = wire
        self._key_field = key_field
        self._resumes = resumes
        self._keys: list[str] = []
        self._digests: list[bytes] = []
        self._by_key: dict[str, int] = {}
        self._by_digest: dict[bytes, int | list[int]] = {}  # a list only where requests are the same
        self._retyped: dict[bytes, bytes | None] = {}  # by the fingerprint of a re-typed echo; None: several

    @property
    def has_twins(self) -> bool:
        """Tell whether two rows carry the same request."""
        return len(self._by_digest) < len(self._digests)

    def add(self, row: ManifestLine) -> None:
        """Take the next row."""
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

    def find(self, line: Mapping[str, Any], ranks: bytearray) -> tuple[int, str] | None:
        """Return (index, producer's key) of the row whose answer ``line`` is, or None.

        ``ranks`` is the live state that tells which rows have their answer.
        """
        digest = self._digest(line)
        index = self._keyed(line, digest)
        if index is None and digest is not None:
            index = self._first_open(digest, ranks)
        return None if index is None else (index, self._keys[index])

    def _digest(self, line: Mapping[str, Any]) -> bytes | None:
        """Return the fingerprint of the request that a line echoes."""
        digest = self._wire.digest(line)
        if digest in self._by_digest or not self._retyped:
            return digest
        retyped = self._wire.retyped_digest(self._wire.echo(line))
        return self._retyped.get(retyped) if retyped else digest

    def _keyed(self, line: Mapping[str, Any], digest: bytes | None) -> int | None:
        """Return the row with the echoed key.

        Google's importer may turn what looks like a number into one (``"007"`` into 7), so a key that came
        back as a number counts only with the right request beside it.
        """
        echoed = line.get(self._key_field) if self._key_field else None
        if isinstance(echoed, str):
            return self._by_key.get(producers_key(echoed) if self._resumes else echoed)
        if not isinstance(echoed, int) or isinstance(echoed, bool):
            return None
        index = self._by_key.get(str(echoed))
        return index if index is not None and digest in (None, self._digests[index]) else None

    def _first_open(self, digest: bytes, ranks: bytearray) -> int | None:
        """Return the first row with this request that this batch has not answered, or the first of all."""
        found = self._by_digest.get(digest)
        if not isinstance(found, list):
            return found
        return next((index for index in found if not is_own(ranks[index])), found[0])
