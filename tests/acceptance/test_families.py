"""Every family, end to end: what its jobs read and write, how many run at once, and where none runs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from tests.acceptance.families_house import OWN_MODELS, FamiliesHouse
from tests.contract.bigquery_client import PROJECT, Api, bigquery, client_for
from vertexq import BadInput, Policy, Status, SubmissionState
from vertexq.embedded.process import await_true
from vertexq.model import Batch

HOME = f"{PROJECT}.families"
ROWS = 20
EUROPE = OWN_MODELS.replace("us-central1", "europe-west4")
LLAMA = "publishers/meta/models/llama-4-maverick-17b-128e-instruct-maas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A family: one of its models, and what a producer says beside the rows."""

    model: str
    column: str = ""  # of a table that holds its requests; empty: it reads none
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str = "prompt"  # the field of a row in Cloud Storage

    def row(self, number: int) -> dict[str, Any]:
        """Return a row in Cloud Storage."""
        said = f"gs://vertexq/{number}.jpg" if self.text == "content" and not self.column else f"Say {number}"
        return {"key": f"k{number}", self.text: said}

    def table_row(self, number: int) -> dict[str, Any]:
        """Return a row of a table."""
        said = f"Say {number}"
        messages = {"messages": [{"role": "user", "content": said}], "max_tokens": 50}
        forms: dict[str, Any] = {
            "content": said,
            "body": messages,
            "request": {"contents": [{"role": "user", "parts": [{"text": said}]}]},
        }
        if "claude" in self.model:
            forms["request"] = {**messages, "anthropic_version": "vertex-2023-10-16"}
        return {"key": f"k{number}", self.column: forms[self.column]}


IMAGES = Case(model=f"{OWN_MODELS}/880001", text="content", asked={"family": "automl-image"})
CASES = {
    "gemini": Case(model="gemini-2.5-flash", column="request"),
    "gemini-tuned": Case(model=f"{OWN_MODELS}/17@2", column="request"),
    "text-embedding": Case(model="text-embedding-005", column="content", text="content"),
    "gemini-embedding": Case(model="gemini-embedding-001", text="prompt"),
    "automl-image": IMAGES,
    "claude": Case(
        model="anthropic/claude-sonnet-4-5", column="request", asked={"parameters": {"max_tokens": 50}}
    ),
    "open-model": Case(model=LLAMA, column="body"),
}
WITH_TABLES = [name for name, case in CASES.items() if case.column]
WITHOUT = [name for name, case in CASES.items() if not case.column]


@pytest.fixture(scope="module")
def house(families: FamiliesHouse) -> FamiliesHouse:
    """Give the house, with an AutoML model."""
    families.post(
        "/_simulator/models", {"model": "880001", "kind": "automl-image", "display_name": "flowers"}
    )
    return families


@pytest.fixture(scope="module")
def tables(house: FamiliesHouse) -> Iterator[Api]:
    """Give Google's own client of a dataset in the jobs' region."""
    with closing(client_for(house.google)) as client:
        made = bigquery.Dataset(HOME)
        made.location = "us-central1"
        client.create_dataset(made)
        yield client


def filled(tables: Api, name: str) -> str:
    """Make a table of a family's rows; return its address."""
    case = CASES[name]
    kind = "STRING" if case.column == "content" else "JSON"
    schema = [bigquery.SchemaField("key", "STRING"), bigquery.SchemaField(case.column, kind)]
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=schema)
    data = b"".join(orjson.dumps(case.table_row(number)) + b"\n" for number in range(ROWS))
    table = f"{HOME}.{name.replace('-', '_')}"
    tables.load_table_from_file(io.BytesIO(data), table, job_config=config).result()
    return f"bq://{table}"


@pytest.mark.parametrize("name", CASES)
def test_it_reads_and_writes_cloud_storage(house: FamiliesHouse, name: str) -> None:
    """Each row of an object has its answer in the store, under the producer's key."""
    case = CASES[name]
    source = house.put_rows(f"families/{name}.jsonl", [case.row(number) for number in range(ROWS)])

    ran = house.run(source, model=case.model, **case.asked)

    assert ran.status.counts.succeeded == ROWS
    assert set(ran.results) == {f"k{number}" for number in range(ROWS)}
    assert {batch.family for batch in ran.batches} == {name}
    assert all(batch.output_directory.startswith("gs://") for batch in ran.batches)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", WITH_TABLES)
def test_it_reads_and_writes_tables(house: FamiliesHouse, tables: Api, name: str) -> None:
    """From a table to Cloud Storage, from Cloud Storage to a table, from table to table."""
    case, table = CASES[name], filled(tables, name)
    source = house.put_rows(f"pairs/{name}.jsonl", [case.row(number) for number in range(ROWS)])
    pairs = ((table, ""), (source, f"bq://{HOME}"), (table, f"bq://{HOME}"))
    asked: dict[str, Any] = {"model": case.model, "store": "results"}
    with house.client() as client:
        ids = [
            client.submit(given, destination=wanted, **asked, **({} if given == table else case.asked)).id
            for given, wanted in pairs
        ]
        done = [client.wait(one, timeout_s=90) for one in ids]
        keys = [{result.key for result in client.results(one)} for one in ids]

    assert [status.counts.succeeded for status in done] == [ROWS] * 3, [status.reason for status in done]
    assert keys == [{f"k{number}" for number in range(ROWS)}] * 3
    places = [house.batches(one)[0].output_directory.partition("://")[0] for one in ids]
    assert places == ["gs", "bq", "bq"]


@pytest.mark.parametrize("name", WITHOUT)
def test_it_takes_no_tables(house: FamiliesHouse, name: str) -> None:
    """Neither as its source nor for its answers; refused before anything is sent."""
    case = CASES[name]
    with house.client() as client:
        for source, wanted, said in (
            (f"bq://{HOME}.rows", "", "read no tables"),
            (["a"], f"bq://{HOME}", "write no tables"),
            ("gs://vertexq/a.jsonl", f"bq://{HOME}.named", "a table name is not allowed"),
        ):
            with pytest.raises(BadInput, match=said):
                client.submit(source, model=case.model, store="results", destination=wanted, **case.asked)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("name", "slots"), [("claude", 4), ("automl-image", 5)])
def test_no_more_jobs_run_at_once_than_google_allows(house: FamiliesHouse, name: str, slots: int) -> None:
    """More submissions at once than there are slots: the jobs that Google saw were never more."""
    case, label = CASES[name], {"slots": name}
    house.behave(f"slots={name}", timing={"pending_s": 0.05, "run_s": 3.0})
    asked: dict[str, Any] = {"model": case.model, "store": "results", "labels": label, **case.asked}
    with house.client() as client:
        ids = [client.submit([case.row(number)], **asked).id for number in range(slots + 2)]
        for one in ids:
            assert client.wait(one, timeout_s=90).counts.succeeded == 1

    assert 1 < most_at_once(house, [batch for one in ids for batch in house.batches(one)]) <= slots


def most_at_once(house: FamiliesHouse, batches: list[Batch]) -> int:
    """Return how many jobs ran at the same time, by Google's times."""
    jobs = [house.job(batch) for batch in batches]
    moves = sorted([(job["endTime"], -1) for job in jobs] + [(job["startTime"], 1) for job in jobs])
    running = most = 0
    for _, change in moves:
        running += change
        most = max(most, running)
    return most


@pytest.mark.timeout(120)
def test_a_source_of_more_rows_than_a_job_takes_is_split(house: FamiliesHouse) -> None:
    """30,001 texts are two jobs of text embeddings; that both fail at once changes nothing in that."""
    house.behave("limit=rows", fail_at=0.0, fail_code=3, fail_message="Nothing was embedded.")
    source = house.put("limits/texts.jsonl", b"".join(b'{"content":"text %d"}\n' % n for n in range(30_001)))

    ran = house.run(source, model="text-embedding-005", labels={"limit": "rows"})

    assert ran.status.counts.failed == 30_001
    assert len(house.creates(ran)) == 2
    assert sorted(batch.rows for batch in ran.batches) == [1, 30_000]


@pytest.mark.parametrize(
    ("name", "model", "location", "said"),
    [
        ("gemini-tuned", f"{OWN_MODELS}/17", "global", "no batch jobs on global"),
        ("gemini-tuned", f"{OWN_MODELS}/17", "europe-west4", "give the location us-central1"),
        ("automl-image", f"{OWN_MODELS}/880001", "global", "no batch jobs on global"),
        ("automl-image", f"{OWN_MODELS}/880001", "europe-west4", "give the location us-central1"),
        ("gemini-embedding", "gemini-embedding-001", "asia-east1", "name one of these locations"),
        ("claude", CASES["claude"].model, "global", "global"),
        ("open-model", LLAMA, "global", "global"),
    ],
)
def test_a_place_without_jobs_is_refused_at_once(
    house: FamiliesHouse, name: str, model: str, location: str, said: str
) -> None:
    """The producer gets the sentence; nothing is enqueued."""
    with house.client() as client:
        before = len(client.list())
        with pytest.raises(BadInput, match=said):
            client.submit([CASES[name].row(1)], model=model, store="results", family=name, location=location)

        assert len(client.list()) == before


@pytest.mark.parametrize("name", ["gemini-tuned", "automl-image"])
def test_a_worker_refuses_a_model_of_another_region(house: FamiliesHouse, name: str) -> None:
    """Also when the producer names no place: rejected before anything is uploaded."""
    status = rejected(house, [CASES[name].row(1)], model=f"{EUROPE}/17", family=name)

    assert status.state is SubmissionState.REJECTED
    assert "give the location europe-west4" in status.reason


def test_a_model_of_another_kind_is_refused(house: FamiliesHouse) -> None:
    """Google says that it is an AutoML model; the sentence says what to write."""
    status = rejected(house, ["Say a"], model=f"{OWN_MODELS}/880001")

    assert status.state is SubmissionState.REJECTED
    assert "--family automl-image" in status.reason


def rejected(house: FamiliesHouse, rows: list[Any], **asked: Any) -> Status:
    """Submit rows and wait until they rest."""
    with house.client() as client:
        return client.wait(client.submit(rows, store="results", **asked).id, timeout_s=30)


@pytest.mark.parametrize(
    ("name", "location"),
    [("gemini", "global"), ("gemini", "europe-west4"), ("text-embedding", "europe-west1")],
)
def test_it_runs_elsewhere(house: FamiliesHouse, name: str, location: str) -> None:
    """On global, and in another region than the worker's."""
    case = CASES[name]

    ran = house.run([case.row(1)], model=case.model, location=location)

    assert ran.status.counts.succeeded == 1
    assert f"/locations/{location}/" in ran.batches[0].job_name


def test_an_endpoint_stands_for_the_model_behind_it(house: FamiliesHouse) -> None:
    """The job names the model that is deployed there."""
    place = f"/v1/{OWN_MODELS.removesuffix('/models')}"
    ended(house, house.post(f"{place}/endpoints?endpointId=tuned-shop", {"displayName": "shop"}))
    deployed = {
        "model": f"{OWN_MODELS}/19",
        "displayName": "m",
        "id": "7",
        "automaticResources": {"minReplicaCount": 1},
    }
    ended(house, house.post(f"{place}/endpoints/tuned-shop:deployModel", {"deployedModel": deployed}))

    ran = house.run(["Say a"], model=f"{place.removeprefix('/v1/')}/endpoints/tuned-shop")

    assert ran.status.counts.succeeded == 1
    assert [create["model"].partition("@")[0].rpartition("/")[2] for create in house.creates(ran)] == ["19"]


def ended(house: FamiliesHouse, operation: Mapping[str, Any]) -> None:
    """Wait for a long-running operation of Google's."""
    path = f"/v1/{operation['name']}"
    assert await_true(lambda: bool(house.get(path).get("done")), timeout_s=20), operation


@pytest.mark.parametrize("name", ["gemini", "gemini-tuned"])
def test_an_output_is_resumed(house: FamiliesHouse, name: str) -> None:
    """Rows that were answered are taken over and cost nothing; the others run."""
    house.behave(f"resume={name}", server_error_rows=0.4, timing={"pending_s": 0.05, "run_s": 0.05})
    model, rows = CASES[name].model, [CASES[name].row(number) for number in range(50)]
    first = house.run(rows, model=model, labels={"resume": name})
    directory = first.batches[0].output_directory

    ran = house.run(f"{directory}/", model=model, policy=Policy(resume=True))

    free = [key for key, result in ran.results.items() if result.cost_usd == 0]
    assert ran.status.counts.succeeded == len(ran.results) == 50
    assert 0 < len(free) < 50
