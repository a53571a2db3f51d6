"""Good rows written to a file, as JSON Lines that ``submit`` takes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import orjson

from vertexq.errors import BadInput

if TYPE_CHECKING:
    from vertexq.check.verdict import Prepared, Verdict


class Kept:
    """Writes rows to ``path``, which is there as a whole or not at all; without a path does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = _temporary(path) if path else None
        self._lines = array("Q")  # of each row that is written, and its group
        self._groups = array("h")

    def write(self, rows: Iterable[Prepared]) -> None:
        """Write those that are not set aside."""
        if self._file is not None:
            good = [row for row in rows if not row.reason]
            self._file.writelines(
                b'{"key":%b,"request":%b}\n' % (orjson.dumps(row.key), row.request) for row in good
            )
            self._lines.extend(row.line for row in good)
            self._groups.extend(row.group for row in good)

    def sift(self, verdict: Verdict) -> None:
        """Take out the rows that only the whole source condemns."""
        if self._file is None or self._path is None or not verdict.sifts:
            return
        self._file.seek(0)
        whole, self._file = self._file, _temporary(self._path)
        try:
            for text, line, group in zip(whole, self._lines, self._groups, strict=True):
                if not verdict.condemns(line, group):
                    self._file.write(text)
        finally:
            whole.close()
            Path(whole.name).unlink()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place, unless something went wrong."""
        if self._file is None or self._path is None:
            return
        self._file.close()
        if error is None:
            Path(self._file.name).replace(self._path)
        else:
            Path(self._file.name).unlink()


def _temporary(path: Path) -> IO[bytes]:
    try:
        return NamedTemporaryFile(dir=path.parent, delete=False)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error
