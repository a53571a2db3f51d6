"""Records: CSV at any cut, Parquet by its columns, and what is wrong with a file that is neither."""
# pyarrow has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from vertexq.errors import BadSource
from vertexq.sources.records import CsvRecords, Record, parquet_records

FIELD = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def _read(data: bytes, cut: int = 1_000_000, *, limit_bytes: int = 1_000_000) -> list[Record]:
    records = CsvRecords("rows.csv", limit_bytes=limit_bytes)
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    return [*(one for piece in pieces for one in records.feed(piece)), *records.close()]


@given(st.lists(st.tuples(FIELD, FIELD), max_size=5), st.integers(1, 50), st.sampled_from(["\n", "\r\n"]))
def test_what_was_written_is_read_at_any_cut(rows: list[tuple[str, str]], cut: int, ending: str) -> None:
    """Quotes, commas and line ends inside a field are the field's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([("key", "text"), *rows])

    found = _read(text.getvalue().encode(), cut)

    assert [tuple(one.fields.values()) for one in found] == rows


def test_records_know_the_line_they_begin_in() -> None:
    """A field with line ends takes several; blank lines hold no record."""
    found = _read(b'\xef\xbb\xbfkey,text\r\na,"one\ntwo"\n\nb,x\n')

    assert found == [Record(2, {"key": "a", "text": "one\ntwo"}), Record(5, {"key": "b", "text": "x"})]


def test_a_short_record_lacks_its_last_fields() -> None:
    """They are not empty: a template that needs one says so."""
    assert _read(b"a,b\n1\n") == [Record(2, {"a": "1"})]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b\n1,2,3\n", "line 2 has 3 fields and the header 2"),
        (b"a,a\n1,2\n", "line 1 must name every field"),
        (b"a,\n1,2\n", "line 1 must name every field"),
        (b'a,b\n1,"two\n3,4\n', "line 2 has a quote that is never closed"),
        (b'a,b\n1,"two"x\n', "line 2 is no CSV"),
        (b"a,b\n1,\xff\n", "line 2 is not UTF-8"),
        (b"a,b\n1," + b"x" * 3000 + b"\n", "line 2 has 3,002 bytes, more than the limit"),
        (b'a,b\n1,"' + b"x\n" * 3000, "line 2 has a quote that is not closed within the limit"),
    ],
)
def test_what_is_no_csv_is_refused_with_its_line(data: bytes, says: str) -> None:
    """The file is not guessed at: after a broken quote nothing can be trusted."""
    with pytest.raises(BadSource, match=says):
        _read(data, 500, limit_bytes=2000)


def test_fields_may_be_longer_than_the_csv_module_allows_at_first() -> None:
    """A prompt of a megabyte is a prompt."""
    assert len(_read(b"a\n" + b"x" * 900_000 + b"\n")[0].fields["a"]) == 900_000


def test_parquet_rows_keep_their_types(tmp_path: Path) -> None:
    """What JSON does not have becomes text; rows are counted through all row groups."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    rows = [{"n": number, "t": ["a"], "d": Decimal("1.50"), "b": b"\0\1", "at": at} for number in range(5)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=2)

    found = list(parquet_records(tmp_path / "rows.parquet"))

    assert [one.line for one in found] == [1, 2, 3, 4, 5]
    assert found[4].fields == {"n": 4, "t": ["a"], "d": "1.50", "b": "AAE=", "at": at}


@pytest.mark.parametrize("data", [b"", b"PAR1 and no more", None])
def test_a_damaged_parquet_file_is_an_error_of_one_sentence(tmp_path: Path, data: bytes | None) -> None:
    """So is one that is not there."""
    path = tmp_path / "rows.parquet"
    if data is not None:
        path.write_bytes(data)

    with pytest.raises(BadSource, match=r"rows\.parquet cannot be read"):
        list(parquet_records(path))
