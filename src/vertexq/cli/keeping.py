"""Good rows written to a file, as JSON Lines that ``submit`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Self

import orjson

from vertexq.errors import BadInput

if TYPE_CHECKING:
    from vertexq.check.verdict import Prepared


class Kept:
    """Writes rows to ``path``, which is there as a whole or not at all; without a path does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._file = NamedTemporaryFile(dir=path.parent, delete=False) if path else None  # noqa: SIM115
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}") from error

    def write(self, rows: Iterable[Prepared]) -> None:
        """Write those that are not set aside."""
        if self._file is not None:
            good = (row for row in rows if not row.reason)
            self._file.writelines(
                b'{"key":%b,"request":%b}\n' % (orjson.dumps(row.key), row.request) for row in good
            )

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
