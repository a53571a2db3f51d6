"""Rows of output tables become the lines that a job would have written."""

from __future__ import annotations

import json

import pytest

from vertexq.google.bigquery_messages import TableColumn, table_from, table_page_from
from vertexq.google.messages import Unreadable
from vertexq.google.table_lines import TableLines


def columns(**kinds: str) -> list[TableColumn]:
    """Return nullable columns by their names and types."""
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    return list(table_from({"schema": {"fields": fields}}).columns)


def test_a_row_becomes_the_line_that_a_file_would_hold() -> None:
    """JSON stays JSON, numbers are numbers, an instant is text, NULL is null."""
    lines = TableLines(
        columns(key="STRING", response="JSON", n="INTEGER", processed_time="TIMESTAMP", status="STRING")
    )

    line = lines.line(["r0-a", '{"candidates":[]}', "7", "1732181472345000", None])

    assert line == (
        b'{"key":"r0-a","response":{"candidates":[]},"n":7,'
        b'"processed_time":"2024-11-21T09:31:12.345000+00:00","status":null}'
    )


@pytest.mark.parametrize(("text", "said"), [('{"a": 1}', {"a": 1}), ("not JSON", "not JSON"), ("", "")])
def test_a_response_in_a_column_of_text_is_what_the_text_says(text: str, said: object) -> None:
    """Older tables have text where newer ones have JSON."""
    assert json.loads(TableLines(columns(response="STRING")).line([text])) == {"response": said}


def test_records_and_arrays_are_objects_and_lists() -> None:
    """As embeddings have them."""
    below = [{"name": "values", "type": "FLOAT", "mode": "REPEATED"}, {"name": "ok", "type": "BOOLEAN"}]
    field = {"name": "predictions", "type": "RECORD", "mode": "REPEATED", "fields": below}
    lines = TableLines(table_from({"schema": {"fields": [field]}}).columns)

    cell = [{"v": {"f": [{"v": [{"v": "0.5"}, {"v": "1"}]}, {"v": "true"}]}}]

    assert json.loads(lines.line([cell])) == {"predictions": [{"values": [0.5, 1.0], "ok": True}]}


def test_a_row_of_another_width_is_not_read() -> None:
    """The columns were changed since they were looked at."""
    with pytest.raises(Unreadable, match="more or fewer values"):
        TableLines(columns(key="STRING")).line(["a", "b"])


def test_a_page_says_how_many_rows_there_are() -> None:
    """Without that it is none."""
    page = table_page_from({"totalRows": "5", "rows": [{"f": [{"v": "a"}, {"v": None}]}]})

    assert (page.total, page.cells) == (5, (("a", None),))
    with pytest.raises(Unreadable):
        table_page_from({"rows": []})
