"""Going on from a job's output: rows that have their answer keep it and cost nothing, the others run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import until_first_round
from vertexq import BadInput, BadSource, Policy, Result, Status, SubmissionState
from vertexq.model import GcsUri
from vertexq.simulator.behaviour import Behaviour
from vertexq.steps.rerun import rests_of

MODEL = "gemini-2.5-flash"
RESUME = Policy(resume=True)
ROWS = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(60)]


async def failing(house: House) -> str:
    """Run rows of which some fail; return the directory of the job's output."""
    house.simulator.behaviours.set(Behaviour(server_error_rows=0.3, missing_rows=0.0))
    with house.client() as client:
        client.submit(ROWS, model=MODEL, store="results", id="first")
    status = await house.until_rest("first")
    house.simulator.behaviours.clear()
    assert 0 < status.counts.failed < 60
    return house.services.ledger.batches("first")[0].output_directory


async def resumed(house: House, source: str, **asked: object) -> tuple[Status, dict[str, Result]]:
    """Resume an output to the end; return the account and the rows by key."""
    with house.client() as client:
        client.submit(source, model=MODEL, store="results", id="again", policy=RESUME, **asked)  # type: ignore[arg-type]
        status = await house.until_rest("again")
        return status, {result.key: result for result in client.results("again")}


async def lines_of(house: House, directory: str) -> list[dict[str, object]]:
    """Return the rows of an output."""
    uri = GcsUri.parse(f"{directory}/predictions.jsonl")
    info = await house.services.storage.info(uri)
    data = b"".join(
        [piece async for piece in house.services.storage.download(uri, generation=info.generation)]
    )
    return [orjson.loads(line) for line in data.splitlines()]


async def test_an_old_output_goes_on_where_it_failed(house: House) -> None:
    """Every row has its answer under the producer's key, and only the failed ones were run and paid for."""
    directory = await failing(house)
    before = {str(row["key"]): row for row in await lines_of(house, directory)}
    answered = [key for key, row in before.items() if row["status"] == ""]

    status, rows = await resumed(house, f"{directory}/")

    assert (status.state, status.counts.succeeded) == (SubmissionState.DONE, 60)
    assert set(rows) == {row["key"] for row in ROWS}
    free = [key for key, row in rows.items() if row.cost_usd == 0]
    assert sorted(free) == sorted(key.partition("-")[2] for key in answered)
    paid = [row for row in rows.values() if row.cost_usd]
    assert status.usage.prompt_tokens == sum(row.prompt_tokens or 0 for row in paid)
    assert status.cost_usd == pytest.approx(sum(row.cost_usd or 0 for row in paid))


async def test_what_was_answered_is_in_no_estimate(house: House) -> None:
    """Estimate and budget know the rows that run only."""
    directory = await failing(house)
    whole = house.services.ledger.submission("first").estimate

    await resumed(house, f"{directory}/")

    batch = house.services.ledger.batches("again")[0]
    failed = house.services.ledger.submission("first").counts.failed
    assert batch.estimate is not None
    assert whole is not None
    assert (batch.rows, batch.estimate.rows, batch.estimate.assumed_rows) == (60, failed, failed)
    assert batch.estimate.input_tokens < whole.input_tokens


async def test_an_answer_that_was_there_is_taken_over_as_it_was(house: House) -> None:
    """Text and time are those of the first job."""
    directory = await failing(house)
    with house.client() as client:
        first = {one.key: one for one in client.results("first") if one.ok}

    _, rows = await resumed(house, f"{directory}/predictions.jsonl")

    assert {key: (rows[key].text, rows[key].processed_at) for key in first} == {
        key: (one.text, one.processed_at) for key, one in first.items()
    }


@pytest.mark.parametrize("field", ["key", "name"])
async def test_an_output_of_somebody_else_keeps_its_own_keys(house: House, field: str) -> None:
    """A field of the producer's own, with keys that are no keys of ours."""
    directory = await failing(house)
    lines = await lines_of(house, directory)
    for line in lines:
        line[field] = f"row {str(line.pop('key')).partition('-')[2]}"
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    await house.services.storage.upload(GcsUri(bucket="staging", name="old/predictions.jsonl"), body)

    status, rows = await resumed(house, "gs://staging/old/", key=field)

    assert status.counts.succeeded == 60
    assert set(rows) == {f"row k{number}" for number in range(60)}


async def test_an_output_without_keys_is_matched_by_its_requests(house: House) -> None:
    """Rows are called by their numbers then."""
    directory = await failing(house)
    lines = [{k: v for k, v in line.items() if k != "key"} for line in await lines_of(house, directory)]
    body = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    await house.services.storage.upload(GcsUri(bucket="staging", name="old/predictions.jsonl"), body)

    status, rows = await resumed(house, "gs://staging/old/predictions.jsonl")

    assert status.counts.succeeded == 60
    assert set(rows) == {str(number) for number in range(60)}


async def test_rows_that_fail_again_are_tried_again_and_paid_for(house: House) -> None:
    """Rounds go on as ever: without the answers that were there."""
    directory = await failing(house)
    house.simulator.behaviours.set(Behaviour(quota_rows=0.6))
    rounds = house.with_options(retry_rounds=1, retry_wait_s=0.02)
    with rounds.client() as client:
        client.submit(f"{directory}/", model=MODEL, store="results", id="again", policy=RESUME)
        await until_first_round(rounds, "again")
        rounds.simulator.behaviours.clear()
        status = await rounds.until_rest("again")

    batches = house.services.ledger.batches("again")
    assert status.counts.succeeded == 60
    assert len(batches) > 1
    assert not any(batch.carried for batch in batches[1:])


async def test_rows_that_fail_again_are_held_to_the_budget_by_what_they_cost(house: House) -> None:
    """The estimate is for the rows that ran; those that had their answer take no share of it."""
    directory = await failing(house)
    house.simulator.behaviours.set(Behaviour(quota_rows=0.6))
    status, _ = await resumed(house, f"{directory}/")
    batch = house.services.ledger.batches("again")[0]
    assert batch.estimate is not None
    assert batch.estimate.cost_pusd is not None
    share = -(-batch.estimate.cost_pusd * status.counts.failed // batch.estimate.rows)

    for left, rests in ((share - 1, 0), (share, 1)):
        known = house.services.ledger.submission("again")
        terms = replace(known.terms, budget_pusd=batch.cost_pusd + left)
        services = house.with_options(retry_rounds=3).services
        assert len(list(rests_of(services, replace(known, terms=terms)))) == rests


async def test_an_old_output_is_not_paid_for_again_without_a_word(house: House, tmp_path: Path) -> None:
    """As a local file and as an object, whole or as it is: the check names its answered rows."""
    directory = await failing(house)
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in await lines_of(house, directory)))
    with house.client() as client:
        with pytest.raises(BadSource, match=r"answered.*--resume"):
            client.submit(file, model=MODEL, store="results")
        for name, policy in (("copied", Policy()), ("as-is", Policy(as_is=True))):
            source = f"{directory}/predictions.jsonl"
            client.submit(source, model=MODEL, store="results", id=name, policy=policy)

            status = await house.until_rest(name)

            assert status.state is SubmissionState.REJECTED
            assert "it would be paid for again (answered)" in status.reason
    assert len(house.simulator.accepted) == 1


async def test_set_aside_runs_only_what_has_no_answer(house: House, tmp_path: Path) -> None:
    """Answered rows are set aside like any other row that cannot be sent."""
    directory = await failing(house)
    lines = await lines_of(house, directory)
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    answered = sum(line["status"] == "" for line in lines)
    with house.client() as client:
        client.submit(file, model=MODEL, store="results", id="rest", policy=Policy(set_aside=True))

    status = await house.until_rest("rest")

    assert (status.counts.succeeded, status.counts.failed) == (60 - answered, answered)


async def test_only_an_output_in_cloud_storage_can_be_resumed(house: House, tmp_path: Path) -> None:
    """And only with a model that Google resumes, and without a change to its lines."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"prompt":"Say a"}\n')
    with house.client() as client:
        for source, policy, said in (
            (file, RESUME, "in Cloud Storage"),
            ("gs://staging/old/", Policy(), "names no object"),
            ("gs://staging/old/", Policy(resume=True, repair=True), "cannot go with repair"),
        ):
            with pytest.raises(BadInput, match=said):
                client.submit(source, model=MODEL, store="results", policy=policy)


async def test_a_directory_without_an_output_is_rejected(house: House) -> None:
    """The sentence says what was looked for."""
    with house.client() as client:
        client.submit("gs://staging/nothing/", model=MODEL, store="results", id="none", policy=RESUME)

    status = await house.until_rest("none")

    assert status.state is SubmissionState.REJECTED
    assert "holds no output of a job" in status.reason
