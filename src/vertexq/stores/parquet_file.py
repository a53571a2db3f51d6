"""Rows as Parquet, packed with Zstandard.

Packing a row takes nearly as long as parsing it, so it is done once: chunks are so large that what they leave
are files of a good size, and only small ones are joined.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import accumulate
from typing import Any, BinaryIO, cast

import pyarrow as untyped_pa  # type: ignore[import-untyped]  # noqa: ICN001  (see below)
import pyarrow.compute as untyped_pc  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as untyped_pq  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from vertexq.results import Outcome, Result, Row
from vertexq.stores import parquet_vectors
from vertexq.stores.columns import VECTOR, Column, ColumnType, instant
from vertexq.stores.layout import Layout
from vertexq.stores.parts_encoding import Encoding, Source, Verdict

# pyarrow has no types; taken as Any it does not spoil ours.
pa: Any = untyped_pa
pc: Any = untyped_pc
pq: Any = untyped_pq

CHUNK_ROWS = 25_000
CHUNK_BYTES = 32 * 2**20
"""How much of Google's output goes into one file: two of them are in memory at a time."""
GROUP_BYTES = 16 * 2**20
"""How much of a file, not packed, is one row group: what a reader holds in memory."""
_SMALL_BYTES = 10 * 2**20
"""Parts of less of Google's output are joined: packed they have one or two MiB."""
_ROWS_AT_ONCE = 512
_ROWS_TO_A_TABLE = 2_000  # so few that the processor's caches are of use
_LEVEL = 1  # 3: a sixth longer for 4 % less
_TYPES: dict[ColumnType, Any] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.INSTANT: pa.timestamp("us", "UTC"),
    ColumnType.JSON: pa.string(),  # Google's own spelling
    ColumnType.VECTOR: parquet_vectors.TYPE,
}
_LONG = {"text", "response", "parsed", "function_calls", "error_message", "extra", VECTOR}
"""Columns that are neither alike in neighbouring rows nor looked for: no dictionary, no statistics."""
_INSTANT = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""What Arrow reads as Python does; the years at either end of the calendar are left to Python."""
_APART = _LONG | {"key", "source_offset", "cost_usd", "processed_at"}
"""Columns that hold another value in every row: no dictionary."""


class ParquetFile(Encoding):
    """Row groups of ``GROUP_BYTES``, whether of a chunk or of files that are joined."""

    name = "parquet"

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._schema = pa.schema([_field(column, name) for column, name in layout.names])
        self._options: dict[str, Any] = {
            "use_dictionary": [name for column, name in layout.names if column.name not in _APART],
            "write_statistics": [name for column, name in layout.names if column.name not in _LONG],
            "store_schema": False,  # the Parquet types say it all
            "compression": {name: "zstd" for column, name in layout.names if column.name != VECTOR},
            "compression_level": {name: _LEVEL for column, name in layout.names if column.name != VECTOR},
        }
        self._vector = layout.name_of(VECTOR)
        if self._vector:  # packed they take a tenth less, and six times as long
            self._options["compression"][parquet_vectors.leaf(self._vector)] = "none"

    @property
    def ending(self) -> str:
        """Return ``.parquet``."""
        return ".parquet"

    @property
    def small_bytes(self) -> float:
        """Return 10 MiB; without the long columns all files are small, and quickly joined."""
        return math.inf if _LONG.isdisjoint(column.name for column in self.layout.columns) else _SMALL_BYTES

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Turn rows into columns, a few thousand at a time."""
        with BytesIO() as file:
            steps = range(0, len(rows), _ROWS_TO_A_TABLE)
            self._write(file, (self._table(rows[at : at + _ROWS_TO_A_TABLE]) for at in steps))
            return file.getvalue()

    def results(self, file: BinaryIO, name: str, *, submission_id: str) -> Iterator[Result]:  # noqa: ARG002
        """Read a few hundred rows at a time."""
        for batch in _batches(file):
            columns = list(map(_values, self._fitted(batch).columns))
            for values in zip(*columns, strict=True):
                yield self.layout.result_of(values, submission_id=submission_id)

    def verdicts(self, file: BinaryIO, name: str) -> Iterator[Verdict]:  # noqa: ARG002
        """Read these columns only."""
        key, outcome, attempt = map(self.layout.name_of, ("key", "outcome", "attempt"))
        for batch in _batches(file, [key, outcome, attempt]):
            there = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            outcomes = there.get(outcome) or [Outcome.SUCCEEDED.value] * batch.num_rows
            attempts = there.get(attempt) or [1] * batch.num_rows
            yield from map(Verdict, there[key], outcomes, attempts)

    def merge(self, sources: Iterable[Source], target: BinaryIO) -> None:
        """Read a row group at a time."""
        self._write(target, self._kept(sources))

    def _write(self, target: BinaryIO, tables: Iterable[Any]) -> None:
        """Gather row groups of ``GROUP_BYTES``."""
        lengths = parquet_vectors.Lengths(self._schema, self._vector)
        with pq.ParquetWriter(target, self._schema, **self._options) as writer:
            held: list[Any] = []
            held_bytes = 0
            for table in tables:
                lengths.note(table)
                held.append(table)
                held_bytes += table.nbytes
                if held_bytes >= GROUP_BYTES:
                    _write_group(writer, held)
                    held, held_bytes = [], 0
            if held:
                _write_group(writer, held)
            writer.add_key_value_metadata(lengths.metadata())

    def _kept(self, sources: Iterable[Source]) -> Iterator[Any]:
        key = self.layout.name_of("key")
        for source in sources:
            with pq.ParquetFile(source.file, pre_buffer=False) as reader:
                for group in range(reader.num_row_groups):
                    table = self._fitted(reader.read_row_group(group, use_threads=False))
                    if source.keep is not None:
                        stays = map(source.keep, table.column(key).to_pylist())
                        table = table.filter(pa.array(stays, pa.bool_()))
                    if table.num_rows:
                        yield table

    def _fitted(self, there: Any) -> Any:
        """Return a table or batch with the columns of today; what an older file lacks is null."""
        if there.schema.equals(self._schema):
            return there
        names = set(there.schema.names)
        arrays = [
            there.column(field.name).cast(field.type)
            if field.name in names
            else pa.nulls(there.num_rows, field.type)
            for field in self._schema
        ]
        return cast("Any", type(there)).from_arrays(arrays, schema=self._schema)

    def _table(self, rows: Sequence[Row]) -> Any:
        columns = list(zip(*rows, strict=True))
        arrays = [
            _array(column, columns[at], self.layout.dimensions)
            for column, at in zip(self.layout.columns, self.layout.at, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _field(column: Column, name: str) -> Any:
    return pa.field(name, _TYPES[column.type])


def _array(column: Column, values: Sequence[Any], dimensions: int | None) -> Any:
    if column.type is ColumnType.INSTANT:
        return _instants(values)
    kind = _TYPES[column.type]
    if column.type is ColumnType.VECTOR:
        empty = values.count(None) == len(values)
        return pa.nulls(len(values), kind) if empty else parquet_vectors.vectors(values, dimensions)
    if values.count(values[0]) == len(values):  # as in most of the columns
        return pa.repeat(pa.scalar(values[0], kind), len(values))
    return _documents(values) if column.type is ColumnType.JSON else pa.array(values, kind)


def _values(column: Any) -> list[Any]:
    return parquet_vectors.numbers_of(column) if pa.types.is_list(column.type) else column.to_pylist()


def _instants(texts: Sequence[str | None]) -> Any:
    kind = _TYPES[ColumnType.INSTANT]
    try:
        read = pa.array(texts, pa.string())
        if pc.all(pc.match_substring_regex(read, _INSTANT)).as_py():
            return read.cast(kind)
    except ValueError:
        pass  # the 31st of February, or a lone surrogate
    return pa.array([instant(text) for text in texts], kind)


def _documents(raws: Sequence[bytes | None]) -> Any:
    """Make a column of JSON in one piece: Arrow, not knowing how long it gets, takes twice the time."""
    known = [raw or b"" for raw in raws]
    ends = array("i", accumulate(map(len, known), initial=0))
    bits = pa.array([raw is not None for raw in raws]).buffers()[1] if None in raws else None
    buffers = [bits, pa.py_buffer(ends), pa.py_buffer(b"".join(known))]
    made = pa.Array.from_buffers(pa.string(), len(known), buffers)
    made.validate(full=True)  # that it is UTF-8
    return made


def _batches(file: BinaryIO, columns: list[str] | None = None) -> Iterator[Any]:
    with pq.ParquetFile(file, pre_buffer=False) as reader:
        there = set(reader.schema_arrow.names)
        wanted = [name for name in columns if name in there] if columns else None
        yield from cast(
            "Iterator[Any]", reader.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False)
        )


def _write_group(writer: Any, tables: list[Any]) -> None:
    table = pa.concat_tables(tables)
    if table.num_rows:  # every row of a part may have been replaced by a better one
        writer.write_table(table, row_group_size=table.num_rows)
