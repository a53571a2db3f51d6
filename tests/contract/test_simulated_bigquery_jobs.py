"""Google's own client runs load, query and copy jobs in the simulated BigQuery; each id once."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Iterator, Sequence
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_with_dataset, errors
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.server import Simulator
from vertexq.testing.simulator import running_simulator

FIELD = bigquery.SchemaField
SCHEMA = [FIELD("key", "STRING", mode="REQUIRED"), FIELD("n", "INTEGER")]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Run one simulator for this file, with a bucket."""
    with running_simulator(buckets=["lines"]) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Api]:
    """Give Google's client, an empty dataset ``d`` and an empty table ``d.t``."""
    with client_with_dataset(simulator) as made:
        made.create_table(bigquery.Table(f"{PROJECT}.d.t", schema=SCHEMA))
        yield made


def _load(client: Api, rows: Sequence[object], job_id: str = "", **options: object) -> Api:
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", **options)
    data = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return client.load_table_from_file(data, "d.t", job_id=job_id or None, job_config=config, num_retries=0)


def _rows(client: Api, query: str, **parameters: Api) -> list[tuple[object, ...]]:
    config = bigquery.QueryJobConfig(query_parameters=list(parameters.values()))
    return [tuple(row) for row in client.query_and_wait(query, job_config=config)]


def test_an_id_is_one_load(client: Api) -> None:
    """A second load with the same id is a conflict and loads nothing; the first can be looked up."""
    job_id = f"load-{uuid.uuid4().hex}"
    _load(client, [{"key": "a", "n": 1}], job_id).result()

    with pytest.raises(errors.Conflict, match=r"Already Exists: Job simulated-project:us-central1\.load-"):
        _load(client, [{"key": "a", "n": 1}], job_id)

    assert client.get_job(job_id).output_rows == 1
    assert _rows(client, "SELECT key, n FROM d.t") == [("a", 1)]


def test_a_lost_answer_leaves_the_job(client: Api, simulator: Simulator) -> None:
    """After a drop the id says whether the load took effect."""
    simulator.faults.add(Fault(method="bigquery.jobs.insert", action=Action.ACCEPT_THEN_DROP))
    job_id = f"load-{uuid.uuid4().hex}"
    with pytest.raises(Exception, match=r"Connection aborted|RemoteDisconnected"):
        _load(client, [{"key": "a"}], job_id)

    assert client.get_job(job_id).result().state == "DONE"
    assert _rows(client, "SELECT COUNT(*) FROM d.t") == [(1,)]


def test_a_load_with_a_bad_row_loads_nothing(client: Api) -> None:
    """The job ends with BigQuery's errors; with ``maxBadRecords`` the good rows go in."""
    rows = [{"key": "a", "n": 1}, {"key": "b", "n": "x"}, {"n": 3}]
    job = _load(client, rows)
    with pytest.raises(errors.BadRequest, match="too many errors, giving up"):
        job.result()

    assert [error["reason"] for error in job.errors] == ["invalid"] * 4
    assert _rows(client, "SELECT key FROM d.t") == []
    assert _load(client, rows, max_bad_records=2).result().output_rows == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"key": "a", "m": 1}], "No such field: m"),
        ([{"key": None}], "Only optional fields can be set to NULL"),
        ([{"key": "a", "n": 2**63}], "Could not convert value to integer"),
    ],
    ids=["unknown", "null", "range"],
)
def test_a_bad_row_is_named(client: Api, rows: list[object], message: str) -> None:
    """Where it starts, and what is wrong with it."""
    job = _load(client, rows)
    with pytest.raises(errors.BadRequest):
        job.result()

    assert message in job.errors[-1]["message"]


def test_loads_make_and_replace_tables_when_told(client: Api) -> None:
    """Dispositions: never create, append, replace, only if empty; new columns when allowed."""
    missing = client.load_table_from_json([{"n": 1}], "d.nowhere", job_config=_config("CREATE_NEVER"))
    with pytest.raises(errors.NotFound, match=r"Not found: Table simulated-project:d\.nowhere"):
        missing.result()

    _load(client, [{"key": "a"}]).result()
    _load(client, [{"key": "b"}], write_disposition="WRITE_TRUNCATE").result()
    assert _rows(client, "SELECT key FROM d.t") == [("b",)]
    with pytest.raises(errors.Conflict):
        _load(client, [{"key": "c"}], write_disposition="WRITE_EMPTY").result()
    more = [*SCHEMA, FIELD("extra", "FLOAT")]
    _load(
        client, [{"key": "d", "extra": 0.5}], schema=more, schema_update_options=["ALLOW_FIELD_ADDITION"]
    ).result()
    assert _rows(client, "SELECT key, extra FROM d.t ORDER BY key") == [("b", None), ("d", 0.5)]


def _config(create: str) -> Api:
    return bigquery.LoadJobConfig(create_disposition=create, schema=[FIELD("n", "INTEGER")])


def test_large_loads_go_up_in_a_session(client: Api, simulator: Simulator) -> None:
    """Over 5 MiB the client uploads resumably; every row arrives."""
    before = len(simulator.faults.log("bigquery.uploads.begin"))
    rows = [{"key": f"{number}" + "x" * 1000, "n": number} for number in range(6000)]
    _load(client, rows).result()

    assert len(simulator.faults.log("bigquery.uploads.begin")) == before + 1
    assert _rows(client, "SELECT COUNT(*), SUM(n) FROM d.t") == [(6000, 17997000)]


def test_objects_are_loaded_over_http(client: Api, simulator: Simulator) -> None:
    """From gs://, with a wildcard, gzip, JSON and CSV; a name that matches nothing is an error."""
    _put(simulator.url, "in/1.json", b'{"key": "a", "n": 1}\n')
    _put(simulator.url, "in/2.json.gz", gzip.compress(b'{"key": "b", "n": 2}\n'))
    _put(simulator.url, "c.csv", b'key,n\n"c,""c",3\n')
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
    client.load_table_from_uri("gs://lines/in/*", "d.t", job_config=config).result()
    client.load_table_from_uri(
        "gs://lines/c.csv", "d.t", job_config=bigquery.LoadJobConfig(skip_leading_rows=1)
    ).result()

    assert _rows(client, "SELECT key, n FROM d.t ORDER BY n") == [("a", 1), ("b", 2), ('c,"c', 3)]
    with pytest.raises(errors.NotFound, match="Not found: URI"):
        client.load_table_from_uri("gs://lines/none", "d.t", job_config=config).result()


def _put(url: str, name: str, data: bytes) -> None:
    target = f"{url}/upload/storage/v1/b/lines/o?uploadType=media&name={quote(name, safe='')}"
    with urlopen(Request(target, data=data, method="POST")):  # noqa: S310  (our own simulator)
        pass


def test_queries_speak_googlesql(client: Api) -> None:
    """Backticks, QUALIFY, named and positional parameters, arrays, JSON functions, names for columns."""
    _load(client, [{"key": "a", "n": 1}, {"key": "a", "n": 2}, {"key": "b", "n": 3}]).result()
    newest = f"""SELECT key, n FROM `{PROJECT}.d.t` WHERE n < @most
        QUALIFY ROW_NUMBER() OVER (PARTITION BY key ORDER BY n DESC) = 1 ORDER BY key"""
    keys = bigquery.ArrayQueryParameter("keys", "STRING", ["b", "c"])

    assert _rows(client, newest, most=bigquery.ScalarQueryParameter("most", "INT64", 9)) == [
        ("a", 2),
        ("b", 3),
    ]
    assert _rows(client, "SELECT n FROM d.t WHERE key IN UNNEST(@keys)", keys=keys) == [(3,)]
    assert _rows(client, "SELECT ? + 1", one=bigquery.ScalarQueryParameter(None, "INT64", 1)) == [(2,)]
    assert _rows(client, """SELECT JSON_VALUE('{"a": {"b": "x"}}', '$.a.b')""") == [("x",)]
    found = client.query_and_wait("SELECT COUNT(*), 'x' AS x, 1.5 FROM d.t")
    assert [(field.name, field.field_type) for field in found.schema] == [
        ("f0_", "INTEGER"),
        ("x", "STRING"),
        ("f1_", "FLOAT"),
    ]
    assert _rows(client, "SELECT STRUCT(1 AS a, [1, 2] AS b), [STRUCT('x' AS y)]") == [
        ({"a": 1, "b": [1, 2]}, [{"y": "x"}])
    ]


def test_rows_are_changed_by_sql(client: Api) -> None:
    """MERGE, UPDATE, DELETE, INSERT and TRUNCATE say how many rows they changed."""
    _load(client, [{"key": "a", "n": 1}, {"key": "b", "n": 2}]).result()
    merge = """MERGE d.t AS T USING (SELECT 'a' AS key, 5 AS n UNION ALL SELECT 'c', 7) AS S ON T.key = S.key
        WHEN MATCHED AND S.n > T.n THEN UPDATE SET n = S.n
        WHEN NOT MATCHED THEN INSERT (key, n) VALUES (S.key, S.n)"""

    assert _changed(client, merge) == 2
    assert _changed(client, "UPDATE d.t SET n = n + 1 WHERE key = 'b'") == 1
    assert _changed(client, "DELETE FROM d.t WHERE key = 'c'") == 1
    assert _changed(client, "INSERT INTO d.t (key) VALUES ('x'), ('y')") == 2
    assert _rows(client, "SELECT key, n FROM d.t ORDER BY key") == [
        ("a", 5),
        ("b", 3),
        ("x", None),
        ("y", None),
    ]
    client.query_and_wait("TRUNCATE TABLE d.t")
    assert client.get_table("d.t").num_rows == 0


def _changed(client: Api, query: str) -> int:
    job = client.query(query)
    job.result()
    changed: int = job.num_dml_affected_rows
    return changed


def test_tables_are_defined_by_sql(client: Api) -> None:
    """CREATE TABLE, also AS SELECT, DROP, and views; the API sees what SQL made."""
    client.query_and_wait(
        "CREATE TABLE d.made (a INT64 NOT NULL, b ARRAY<STRING>) PARTITION BY _PARTITIONDATE"
    )
    client.query_and_wait("CREATE OR REPLACE TABLE d.copied AS SELECT 1 AS one, CURRENT_TIMESTAMP() AS at")
    client.query_and_wait("CREATE VIEW d.seen AS SELECT one FROM d.copied")

    assert [field.name for field in client.get_table("d.made").schema] == ["a", "b"]
    assert client.get_table("d.copied").num_rows == 1
    assert _rows(client, "SELECT * FROM d.seen") == [(1,)]
    client.query_and_wait("DROP TABLE d.made")
    with pytest.raises(errors.NotFound):
        client.get_table("d.made")


@pytest.mark.parametrize(
    ("query", "kind", "message"),
    [
        ("SELEC 1", "BadRequest", "Syntax error|not supported"),
        ("SELECT nothing FROM d.t", "BadRequest", "nothing"),
        ("SELECT * FROM d.nowhere", "NotFound", r"Not found: Table simulated-project:d\.nowhere"),
        ("SELECT * FROM bare", "BadRequest", "must be qualified with a dataset"),
        ("SELECT @missing", "BadRequest", "Query parameter 'missing' not found"),
        ("SELECT * FROM read_csv('/etc/passwd')", "BadRequest", "."),
    ],
)
def test_a_bad_query_is_refused(client: Api, query: str, kind: str, message: str) -> None:
    """With the error that BigQuery has for it."""
    with pytest.raises(getattr(errors, kind), match=message):
        client.query_and_wait(query)


def test_a_table_is_read_as_it_was(client: Api) -> None:
    """``FOR SYSTEM_TIME AS OF`` before and after changes; before there was a table it is an error."""
    moments: list[object] = []
    for statement in (
        "INSERT INTO d.t (key, n) VALUES ('a', 1)",
        "INSERT INTO d.t (key, n) VALUES ('b', 2)",
        "UPDATE d.t SET n = 9 WHERE key = 'a'",
        "DELETE FROM d.t WHERE key = 'b'",
    ):
        client.query_and_wait(statement)
        ((moment,),) = _rows(client, "SELECT CURRENT_TIMESTAMP()")
        moments.append(moment)

    def at(moment: object) -> list[tuple[object, ...]]:
        asked = bigquery.ScalarQueryParameter("at", "TIMESTAMP", moment)
        return _rows(client, "SELECT x.key, n FROM d.t AS x FOR SYSTEM_TIME AS OF @at ORDER BY key", at=asked)

    assert [at(moment) for moment in moments] == [
        [("a", 1)],
        [("a", 1), ("b", 2)],
        [("a", 9), ("b", 2)],
        [("a", 9)],
    ]
    with pytest.raises(errors.BadRequest, match="Invalid snapshot time"):
        _rows(client, "SELECT * FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01 00:00:00+00'")


def test_tables_are_copied(client: Api) -> None:
    """With their columns; a second copy onto them needs a disposition."""
    _load(client, [{"key": "a", "n": 1}]).result()

    client.copy_table("d.t", "d.u").result()

    assert _rows(client, "SELECT * FROM d.u") == [("a", 1)]
    with pytest.raises(errors.Conflict):
        client.copy_table("d.t", "d.u").result()


def test_large_answers_come_in_pages(client: Api) -> None:
    """Every row once, page by page, from a snapshot."""
    found = client.query_and_wait(
        "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 2500)) AS n ORDER BY n", page_size=1000
    )

    assert [row.n for row in found] == list(range(1, 2501))


def test_a_slow_job_runs_for_a_while(client: Api, simulator: Simulator) -> None:
    """It is RUNNING, has no effect yet, and ends; one that is cancelled has none at all."""
    slow = Fault(method="bigquery.jobs.insert", action=Action.OTHER, note="slow", delay_s=1.5, times=2)
    simulator.faults.add(slow)
    job, other = (_load(client, [{"key": key}]) for key in "ab")
    assert (job.state, other.state) == ("RUNNING", "RUNNING")
    other.cancel()
    assert _rows(client, "SELECT * FROM d.t") == []

    assert job.result().state == "DONE"
    with pytest.raises(Exception, match="cancelled"):
        other.result()
    assert _rows(client, "SELECT key FROM d.t") == [("a",)]


def test_a_job_fails_when_it_is_told_to(client: Api, simulator: Simulator) -> None:
    """It ends with the reason, its id is used up, and nothing was loaded."""
    job_id = f"load-{uuid.uuid4().hex}"
    simulator.faults.add(Fault(method="bigquery.jobs.insert", action=Action.OTHER, note="fail:backendError"))
    job = _load(client, [{"key": "a"}], job_id)

    assert (job.state, job.error_result["reason"]) == ("DONE", "backendError")
    with pytest.raises(errors.Conflict):
        _load(client, [{"key": "a"}], job_id)
    assert _rows(client, "SELECT * FROM d.t") == []


def test_a_job_is_looked_for_where_it_ran(client: Api) -> None:
    """A location that is not the dataset's has neither the job nor the dataset."""
    job = _load(client, [{"key": "a"}])
    with pytest.raises(errors.NotFound):
        client.get_job(job.job_id, location="europe-west4")

    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
    elsewhere = client.load_table_from_file(
        io.BytesIO(b'{"key": "b"}\n'), "d.t", location="europe-west4", job_config=config
    )
    with pytest.raises(errors.NotFound, match="was not found in location europe-west4"):
        elsewhere.result()


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("JSON_VALUE('{\"a\": {\"b\": 5}}', '$.a.b')", "5"),
        ("JSON_VALUE('{\"a\": {\"b\": 5}}', '$.a')", None),
        ("JSON_VALUE(PARSE_JSON('{\"a\": null}'), '$.a')", None),
        ("ARRAY_LENGTH(JSON_QUERY_ARRAY('{\"a\": [1, 2]}', '$.a'))", 2),
        ("JSON_QUERY_ARRAY(PARSE_JSON('{\"a\": 1}'), '$.a') IS NULL", True),
        ("SAFE.PARSE_JSON('no JSON', wide_number_mode=>'round') IS NULL", True),
        ("JSON_TYPE(SAFE.PARSE_JSON('[1]'))", "array"),
        ("JSON_TYPE(SAFE.PARSE_JSON('1.5'))", "number"),
        ("TO_JSON_STRING(CAST(NULL AS STRING))", "null"),
        ("TO_JSON_STRING([1, 2])", "[1,2]"),
        ("DIV(1 + 6, 1 + 1)", 3),
        ("BYTE_LENGTH('Zürich')", 7),
        (r"REGEXP_CONTAINS('a\tb', r'\p{C}')", True),
        ("SUBSTR(TO_HEX(MD5('a')), 1, 3)", "0cc"),
        ("EXISTS(SELECT 1 FROM UNNEST(JSON_QUERY_ARRAY('[{}, 1]', '$')) AS c WHERE c IS NULL)", False),
        ("(SELECT STRING_AGG(CONCAT(x, n), '') FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS n)", "a0b1"),
        ("(SELECT MAX(n) FROM (SELECT n FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS n))", 1),
        ("EXISTS(SELECT 1 FROM UNNEST(['a', 'b']) AS c WHERE JSON_VALUE(c, '$') IS NULL)", True),
    ],
)
def test_functions_on_json_and_text_do_what_googles_do(client: Api, expression: str, found: object) -> None:
    """The values are those that Google's reference of GoogleSQL gives."""
    assert _rows(client, f"SELECT {expression} AS found") == [(found,)]


def test_a_statement_makes_a_table_that_expires(client: Api) -> None:
    """CREATE TABLE takes an expiration, refuses a name that is taken, and may replace what is there."""
    statement = (
        "TABLE d.made CLUSTER BY n OPTIONS(expiration_timestamp=TIMESTAMP_MILLIS({ms})) AS SELECT {n} AS n"
    )
    client.query_and_wait(f"CREATE {statement.format(ms=4_102_444_800_000, n=1)}")
    with pytest.raises(errors.Conflict):
        client.query_and_wait(f"CREATE {statement.format(ms=4_102_444_800_000, n=2)}")
    kept = (client.get_table("d.made").expires.year, _rows(client, "SELECT n FROM d.made"))

    client.query_and_wait(f"CREATE OR REPLACE {statement.format(ms=1_000, n=3)}")

    assert kept == (2100, [(1,)])
    with pytest.raises(errors.NotFound):
        client.get_table("d.made")
