"""Rows as Parquet: each chunk at once, packed with LZ4; joined files, which stay, with Zstandard.

Packing a row with Zstandard takes as long as parsing it, and parts are read and packed again when they are
joined: LZ4 halves what that costs.
"""

from __future__ import annotations

import re
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
_LANDING: dict[str, Any] = {"compression": "lz4"}
_FINAL: dict[str, Any] = {"compression": "zstd", "compression_level": 1}  # 3 takes a quarter longer for 4 %
_LANDED = ".lz4.parquet"
_TYPES: dict[ColumnType, Any] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.INSTANT: pa.timestamp("us", "UTC"),
    ColumnType.JSON: pa.string(),  # Google's own spelling
}
_LONG = {"text", "response", "parsed", "function_calls", "error_message"}
"""Columns that are neither alike in neighbouring rows nor looked for: no dictionary, no statistics."""
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
"""What Arrow reads as Python does."""
_APART = _LONG | {"key", "source_offset", "cost_usd", "processed_at"}
"""Columns that hold another value in every row: no dictionary."""


class ParquetFile(Encoding):
    """A chunk is a row group; joined files have larger ones."""

    name = "parquet"

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._schema = pa.schema([_field(column, name) for column, name in layout.names])
        self._options = {
            "use_dictionary": [name for column, name in layout.names if column.name not in _APART],
            "write_statistics": [name for column, name in layout.names if column.name not in _LONG],
            "store_schema": False,  # the Parquet types say it all
        }

    @property
    def ending(self) -> str:
        """Return ``.lz4.parquet``."""
        return _LANDED

    @property
    def joined_ending(self) -> str:
        """Return ``.parquet``."""
        return ".parquet"

    def may_stay(self, name: str) -> bool:
        """Tell whether it is packed with Zstandard."""
        return not name.endswith(_LANDED)

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Write one row group."""
        with BytesIO() as file:
            with pq.ParquetWriter(file, self._schema, **_LANDING, **self._options) as writer:
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
        with pq.ParquetWriter(target, self._schema, **_FINAL, **self._options) as writer:
            held: list[Any] = []
            held_bytes = 0
            for table in self._kept(sources):
                held.append(table)
                held_bytes += table.nbytes
                if held_bytes >= GROUP_BYTES:
                    _write(writer, held)
                    held, held_bytes = [], 0
            if held:
                _write(writer, held)

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
            _array(column, columns[at])
            for column, at in zip(self.layout.columns, self.layout.at, strict=True)
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _field(column: Column, name: str) -> Any:
    return pa.field(name, _TYPES[column.type])


def _array(column: Column, values: Sequence[Any]) -> Any:
    if column.type is ColumnType.INSTANT:
        return _instants(values)
    return pa.array(values, _TYPES[column.type])


def _instants(texts: Sequence[str | None]) -> Any:
    kind = _TYPES[ColumnType.INSTANT]
    if all(text is None or _INSTANT.fullmatch(text) for text in texts):
        try:
            return pa.array(texts, pa.string()).cast(kind)
        except pa.ArrowInvalid:
            pass  # the 31st of February
    return pa.array([instant(text) for text in texts], kind)


def _batches(file: BinaryIO, columns: list[str] | None = None) -> Iterator[Any]:
    with pq.ParquetFile(file, pre_buffer=False) as reader:
        there = set(reader.schema_arrow.names)
        wanted = [name for name in columns if name in there] if columns else None
        yield from cast(
            "Iterator[Any]", reader.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False)
        )


def _write(writer: Any, tables: list[Any]) -> None:
    table = pa.concat_tables(tables)
    if table.num_rows:  # every row of a part may have been replaced by a better one
        writer.write_table(table, row_group_size=table.num_rows)
