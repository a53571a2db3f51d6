"""Rows as Parquet, packed with Zstandard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any, BinaryIO, cast

import pyarrow as untyped_pa  # type: ignore[import-untyped]  # noqa: ICN001  (see below)
import pyarrow.parquet as untyped_pq  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from vertexq.results import Outcome, Result, Row
from vertexq.stores.columns import Column, ColumnType, instant
from vertexq.stores.layout import Layout
from vertexq.stores.parts_encoding import Encoding, Source, Verdict

# pyarrow has no types; taken as Any it does not spoil ours.
pa: Any = untyped_pa
pq: Any = untyped_pq

GROUP_BYTES = 16 * 2**20
"""How much of a joined file, not packed, is one row group: what a reader holds in memory."""
_ROWS_AT_ONCE = 512
_LEVEL = 1
_TYPES: dict[ColumnType, Any] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.INSTANT: pa.timestamp("us", "UTC"),
    ColumnType.JSON: pa.string(),  # Google's own spelling
}
_LONG = {"text", "response", "parsed", "function_calls", "error_message"}
"""Columns that are neither alike in neighbouring rows nor looked for: no dictionary, no statistics."""
_APART = _LONG | {"key", "source_offset", "cost_usd", "processed_at"}
"""Columns that hold another value in every row: no dictionary."""


class ParquetFile(Encoding):
    """One file a chunk, one row group in it; joined files have larger ones."""

    name = "parquet"

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._schema = pa.schema([_field(column, name) for column, name in layout.names])
        self._options = {
            "compression": "zstd",
            "compression_level": _LEVEL,
            "use_dictionary": [name for column, name in layout.names if column.name not in _APART],
            "write_statistics": [name for column, name in layout.names if column.name not in _LONG],
            "store_schema": False,  # the Parquet types say it all
        }

    @property
    def ending(self) -> str:
        """Return ``.parquet``."""
        return ".parquet"

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Write one row group."""
        with BytesIO() as file:
            with pq.ParquetWriter(file, self._schema, **self._options) as writer:
                writer.write_table(self._table(rows), row_group_size=len(rows))
            return file.getvalue()

    def results(self, file: BinaryIO, name: str, *, submission_id: str) -> Iterator[Result]:  # noqa: ARG002
        """Read a few hundred rows at a time."""
        for batch in _batches(file):
            columns = [column.to_pylist() for column in self._fitted(batch).columns]
            for values in zip(*columns, strict=True):
                yield self.result_of(values, submission_id=submission_id)

    def verdicts(self, file: BinaryIO, name: str) -> Iterator[Verdict]:  # noqa: ARG002
        """Read these columns only."""
        key, outcome, attempt = map(self.layout.name_of, ("key", "outcome", "attempt"))
        for batch in _batches(file, [key, outcome, attempt]):
            there = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            outcomes = there.get(outcome) or [Outcome.SUCCEEDED.value] * batch.num_rows
            attempts = there.get(attempt) or [1] * batch.num_rows
            yield from map(Verdict, there[key], outcomes, attempts)

    def merge(self, sources: Iterable[Source], target: BinaryIO) -> None:
        """Gather row groups of ``GROUP_BYTES``."""
        with pq.ParquetWriter(target, self._schema, **self._options) as writer:
            held: list[Any] = []
            held_bytes = 0
            for batch in self._kept(sources):
                held.append(batch)
                held_bytes += batch.nbytes
                if held_bytes >= GROUP_BYTES:
                    _write(writer, held)
                    held, held_bytes = [], 0
            if held:
                _write(writer, held)

    def _kept(self, sources: Iterable[Source]) -> Iterator[Any]:
        key = self.layout.name_of("key")
        for source in sources:
            for batch in _batches(source.file):
                fitted = self._fitted(batch)
                if source.keep is not None:
                    fitted = fitted.filter(pa.array([source.keep(k) for k in fitted.column(key).to_pylist()]))
                yield fitted

    def _fitted(self, batch: Any) -> Any:
        """Return ``batch`` with the columns of today; what an older file lacks is null."""
        there = set(batch.schema.names)
        return pa.RecordBatch.from_arrays(
            [
                batch.column(field.name).cast(field.type)
                if field.name in there
                else pa.nulls(batch.num_rows, field.type)
                for field in self._schema
            ],
            schema=self._schema,
        )

    def _table(self, rows: Sequence[Row]) -> Any:
        columns = zip(*map(self.layout.pick, rows), strict=True)
        arrays = [_array(column, values) for column, values in zip(self.layout.columns, columns, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _field(column: Column, name: str) -> Any:
    return pa.field(name, _TYPES[column.type])


def _array(column: Column, values: Sequence[Any]) -> Any:
    if column.type is ColumnType.INSTANT:
        values = [instant(value) for value in values]
    return pa.array(values, _TYPES[column.type])


def _batches(file: BinaryIO, columns: list[str] | None = None) -> Iterator[Any]:
    with pq.ParquetFile(file, pre_buffer=False) as reader:
        there = set(reader.schema_arrow.names)
        wanted = [name for name in columns if name in there] if columns else None
        yield from cast("Iterator[Any]", reader.iter_batches(_ROWS_AT_ONCE, columns=wanted))


def _write(writer: Any, batches: list[Any]) -> None:
    table = pa.Table.from_batches(batches)
    writer.write_table(table, row_group_size=table.num_rows)
