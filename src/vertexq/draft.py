"""A submission being written: rows are checked, fingerprinted and spooled before anything is enqueued."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from io import BufferedIOBase
from pathlib import Path
from struct import Struct
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from vertexq.check.report import Report
from vertexq.check.verdict import Prepared, Verdict, note_keys
from vertexq.errors import BadSource
from vertexq.families.base import Family
from vertexq.intake import Intake, Template
from vertexq.model import Estimate, Policy
from vertexq.sources.files import rows_of_file, rows_of_stream
from vertexq.sources.whereabouts import Whereabouts
from vertexq.spool import CHUNK_BYTES, pack, unpack
from vertexq.uniqueness import KeyLog

_LENGTH = Struct(">I")
_IN_MEMORY_BYTES = 4 * 1024 * 1024
_WAITING_ROWS = 10_000
_NO_POLICY = Policy()


class Draft:
    """Collects rows in flat memory; ``close`` raises ``BadSource`` when one of them cannot be sent.

    ``identity`` is everything besides the rows that decides what is sent: two drafts with the same identity
    and the same rows have the same fingerprint. ``on_rows`` hears now and then how many rows were read.
    """

    def __init__(
        self,
        family: Family,
        *,
        name: str,
        key_field: str,
        identity: Mapping[str, object],
        policy: Policy = _NO_POLICY,
        template: Template | None = None,
        on_rows: Callable[[int], None] | None = None,
        parameters: Mapping[str, Any] | None = None,
        model: str = "",
    ) -> None:
        self._on_rows = on_rows
        self.intake = Intake(
            family,
            name=name,
            key_field=key_field,
            policy=policy,
            template=template,
            parameters=parameters,
            model=model,
        )
        self.verdict = Verdict(report=Report(), estimate=Estimate())  # of the rows; known when it is closed
        self._keys = KeyLog()
        self._places = Whereabouts()
        self._digest = blake2b(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS), digest_size=16)
        self._waiting: list[Prepared] = []
        self._waiting_bytes = 0
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (closed by discard)

    def add_rows(self, rows: Iterable[object]) -> None:
        """Take rows as values."""
        for value in rows:
            self.add_row(value)

    def add_row(self, value: object) -> None:
        """Take one row as a value."""
        if (row := self.intake.row(value)) is not None:
            self._keep(row)

    def add_file(self, path: Path, *, line_limit_bytes: int) -> None:
        """Take the rows of a file of any format; raise ``BadSource`` when it cannot be read."""
        self._places.begin(str(path), self.intake.lines)
        for rows in rows_of_file(path, self.intake, line_limit_bytes=line_limit_bytes):
            for row in rows:
                self._keep(row)

    def add_stream(self, stream: BufferedIOBase, *, line_limit_bytes: int) -> None:
        """Take the lines of an open JSON Lines stream, to its end."""
        name = self.intake.name
        for rows in rows_of_stream(stream, name, self.intake, line_limit_bytes=line_limit_bytes):
            for row in rows:
                self._keep(row)

    def close(self) -> str:
        """Return the fingerprint, once it is known what becomes of every row."""
        self._write()
        self.intake.note_duplicates(self._keys)
        try:
            self.verdict = self.intake.close()
        except BadSource as error:
            lines = [fault.line for fault in self.intake.verdict().report.faults]
            raise BadSource(self._places.explained(str(error), lines)) from None
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield the spool's chunks, one at a time, as they are to be staged."""
        if self.verdict.sifts:
            yield from pack(self.verdict.sift(row for chunk in self._chunks() for row in unpack(chunk)))
        else:
            yield from self._chunks()

    def discard(self) -> None:
        """Drop the temporary files. Safe to repeat."""
        self._keys.close()
        self._file.close()

    def _keep(self, row: Prepared) -> None:
        note_keys((row,), self._keys)
        self._digest.update(b"%d %s\0%d " % (len(row.key), row.key.encode(), len(row.request)))
        self._digest.update(row.request or row.reason.encode())
        self._waiting.append(row)
        self._waiting_bytes += len(row.request)
        if self._waiting_bytes >= CHUNK_BYTES or len(self._waiting) >= _WAITING_ROWS:
            self._write()

    def _write(self) -> None:
        for chunk in pack(self._waiting):
            self._file.write(_LENGTH.pack(len(chunk)) + chunk)
        self._waiting, self._waiting_bytes = [], 0
        if self._on_rows is not None:
            self._on_rows(self.intake.rows)

    def _chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            yield self._file.read(_LENGTH.unpack(head)[0])
