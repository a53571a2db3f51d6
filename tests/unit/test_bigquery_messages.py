"""What BigQuery answers, read into values; a table as it can and cannot be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from vertexq.errors import BadSettings
from vertexq.google.bigquery_messages import TableRef, job_from, page_from, parameter, table_from
from vertexq.google.messages import Unreadable
from vertexq.stores.bigquery import BigQueryStore
from vertexq.stores.bigquery_sql import faults, merge, results
from vertexq.stores.layout import split_layout


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("p.d.t", ("p", "d", "t")),
        ("my-project-1.data_set.table-2026", ("my-project-1", "data_set", "table-2026")),
        ("example.com:own.d.t", ("example.com:own", "d", "t")),
    ],
)
def test_a_table_is_read_from_its_name(name: str, parts: tuple[str, str, str]) -> None:
    """Projects may hold dashes, and the domain of an organisation."""
    ref = TableRef.parse(name)

    assert (ref.project, ref.dataset, ref.table) == parts
    assert str(ref) == name


@pytest.mark.parametrize("name", ["", "d.t", "p.d.", "p.d.t`x", "P.d.t", "p.d-e.t", "p.d.t;drop", "p/q.d.t"])
def test_what_is_no_table_is_refused(name: str) -> None:
    """Nothing that could leave its quotes in SQL or its place in a path."""
    with pytest.raises(ValueError, match=r"project\.dataset\.table"):
        TableRef.parse(name)


@pytest.mark.parametrize(
    ("url", "table"),
    [
        ("bigquery://p.d.t", "p.d.t"),
        ("bigquery://p.d", "p.d.vertexq_results"),
        ("bigquery://p.d?table=own", "p.d.own"),
        ("bigquery://p.d.t?columns=key:id&endpoint=http://127.0.0.1:1", "p.d.t"),
    ],
)
def test_a_url_names_the_table(url: str, table: str) -> None:
    """Whole, or by its dataset; options of ours are taken out."""
    assert table in BigQueryStore(url).location("s")


@pytest.mark.parametrize("url", ["bigquery://p", "bigquery://p.d.t?what=1", "bigquery://p.d.t/x"])
def test_a_url_that_names_none_is_refused(url: str) -> None:
    """With the form that it should have."""
    with pytest.raises(BadSettings, match=r"bigquery://project\.dataset\.table"):
        BigQueryStore(url)


def test_a_page_is_read_by_its_schema() -> None:
    """Numbers and instants come as text, nulls as nulls."""
    kinds = ("STRING", "INTEGER", "FLOAT", "TIMESTAMP", "STRING")
    cells = [{"v": "1"}, {"v": str(2**63 - 1)}, {"v": "0.1"}, {"v": "1700000000000001"}, {"v": None}]
    page = page_from(
        {
            "jobReference": {"jobId": "j"},
            "jobComplete": True,
            "schema": {"fields": [{"name": "c", "type": kind} for kind in kinds]},
            "rows": [{"f": cells}],
            "pageToken": "more",
        }
    )

    moment = datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)
    assert page.rows == (("1", 2**63 - 1, 0.1, moment, None),)
    assert (page.job_id, page.token, page.done) == ("j", "more", True)


def test_a_row_of_another_length_is_unreadable() -> None:
    """A page that contradicts itself is not guessed at."""
    said = {"jobReference": {"jobId": "j"}, "jobComplete": True, "rows": [{"f": [{"v": "1"}]}]}

    with pytest.raises(Unreadable, match="more or fewer"):
        page_from(said)


def test_a_job_says_why_it_failed_but_quotes_no_row() -> None:
    """Of a bad row BigQuery may quote the value: then the reason alone is told."""
    error = {"reason": "invalid", "message": "Could not parse 'secret'"}
    job = job_from({"jobReference": {"jobId": "j"}, "status": {"state": "DONE", "errorResult": error}})
    other = {"reason": "invalidQuery", "message": "Could not serialize access due to concurrent update"}
    conflict = job_from({"jobReference": {"jobId": "k"}, "status": {"state": "DONE", "errorResult": other}})

    assert (job.went_well, job.may_pass, job.why) == (False, False, "invalid")
    assert conflict.may_pass
    with pytest.raises(Unreadable):
        job_from({})


def test_parameters_have_their_types() -> None:
    """Text, a number, an array of text."""
    assert parameter("a", "x")["parameterType"] == {"type": "STRING"}
    assert parameter("a", 1)["parameterValue"] == {"value": "1"}
    assert parameter("a", ["x"])["parameterValue"] == {"arrayValues": [{"value": "x"}]}


def test_a_table_of_the_users_own_is_judged_by_its_columns() -> None:
    """Missing, of another type, repeated, never null, or asking for what we do not have."""
    _, layout = split_layout("x://?columns=key:id,text,reason,cost_usd:cost")
    fields = [
        {"name": "ID", "type": "STRING"},
        {"name": "text", "type": "STRING", "mode": "REPEATED"},
        {"name": "reason", "type": "STRING", "mode": "REQUIRED"},
        {"name": "must", "type": "DATE", "mode": "REQUIRED"},
        {"name": "day", "type": "DATE", "mode": "REQUIRED", "defaultValueExpression": "CURRENT_DATE()"},
    ]

    said = list(faults(layout, table_from({"schema": {"fields": fields}})))

    assert said == [
        "it has no column cost (for cost_usd)",
        "its column text is ARRAY<STRING>; for text it may be STRING",
        "its column reason is NOT NULL, but reason is null for rows that failed",
        "its column must wants a value that we do not have: give it a default",
    ]


def test_other_types_of_the_users_own_are_converted() -> None:
    """A NUMERIC cost and a JSON answer, to the table and back."""
    _, layout = split_layout("x://?columns=submission_id,key,cost_usd,response")
    kinds = {"submission_id": "STRING", "key": "STRING", "cost_usd": "NUMERIC", "response": "JSON"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    table = table_from({"schema": {"fields": fields}})

    assert "CAST(L.cost_usd AS NUMERIC)" in merge(layout, table)
    assert "PARSE_JSON(L.response" in merge(layout, table)
    assert "TO_JSON_STRING(T.`response`)" in results(layout, table)
    assert "CAST(T.`cost_usd` AS FLOAT64)" in results(layout, table)
