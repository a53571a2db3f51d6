"""Columns of vectors in Arrow and Parquet: lists of 32-bit floats, of a fixed size where all have one length.

Parquet itself knows no lists of a fixed size. Arrow writes them as any list and says so beside it, in the
file's metadata, which Arrow's readers heed. So the rows are written as they come, and what has become of
their lengths is said when the file is closed.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as untyped_pa  # type: ignore[import-untyped]  # noqa: ICN001  (see below)
import pyarrow.compute as untyped_pc  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from vertexq.stores.vectors import packed

# pyarrow has no types; taken as Any it does not spoil ours.
pa: Any = untyped_pa
pc: Any = untyped_pc

_NUMBER_BYTES = 4
_NUMBER: Any = pa.field("element", pa.float32(), nullable=False)
TYPE: Any = pa.list_(_NUMBER)


def leaf(name: str) -> str:
    """Return the path of the numbers themselves in a Parquet file, where ``name`` is the column."""
    return f"{name}.list.element"


def vectors(raws: Sequence[bytes | None], dimensions: int | None) -> Any:
    """Make a column of vectors of ``dimensions`` numbers, None for any; raise ``UnfitVector``."""
    known = [b"" if raw is None else packed(raw, "<f", dimensions) for raw in raws]
    ends = array("i", accumulate((len(one) // _NUMBER_BYTES for one in known), initial=0))
    numbers = pa.Array.from_buffers(pa.float32(), ends[-1], [None, pa.py_buffer(b"".join(known))])
    bits = pa.array([raw is not None for raw in raws]).buffers()[1] if None in raws else None
    return pa.Array.from_buffers(TYPE, len(raws), [bits, pa.py_buffer(ends)], children=[numbers])


def numbers_of(column: Any) -> list[list[float] | None]:
    """Read a column of lists into Python, many times as fast as Arrow does value by value."""
    ends: list[int] = column.offsets.to_pylist()
    numbers = array("f")
    values = column.values.slice(ends[0], ends[-1] - ends[0])
    numbers.frombytes(
        memoryview(values.buffers()[1])[_NUMBER_BYTES * values.offset :][: _NUMBER_BYTES * len(values)]
    )
    there = column.is_valid().to_pylist()
    pairs = zip(ends, ends[1:], there, strict=False)
    return [numbers[a - ends[0] : b - ends[0]].tolist() if known else None for a, b, known in pairs]


class Lengths:
    """How many numbers the vectors of a file have, table by table."""

    def __init__(self, schema: Any, name: str) -> None:
        self._schema, self._name = schema, name
        self._seen: set[int] = set()

    def note(self, table: Any) -> None:
        """Take a table of the file into account."""
        if self._name:
            found = pc.min_max(pc.list_value_length(table.column(self._name))).as_py()
            self._seen |= {found["min"], found["max"]} - {None}

    def metadata(self) -> dict[str, str]:
        """Return what is said beside the rows; nothing when the vectors differ or there is none."""
        if len(self._seen) != 1:
            return {}
        (size,) = self._seen
        at = self._schema.get_field_index(self._name)
        fixed = self._schema.set(at, pa.field(self._name, pa.list_(_NUMBER, size)))
        return {"ARROW:schema": base64.b64encode(fixed.serialize().to_pybytes()).decode()}
