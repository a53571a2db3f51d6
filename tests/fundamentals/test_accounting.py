"""The account: rows sent are rows found or named, in the ledger and in every store."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from random import Random

import pytest

from tests.fundamentals.house import House
from tests.fundamentals.retrying import MODEL, check_sums, until_first_round
from tests.fundamentals.stopping_house import batches_of, states_of
from vertexq import SubmissionState, steps
from vertexq.ledger import Ledger
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Action, Fault
from vertexq.states import BatchState

PROMPTS = [f"Say {number}" for number in range(60)]
EVERYTHING = Behaviour(
    bad_rows=0.1, quota_rows=0.15, server_error_rows=0.1, missing_rows=0.15, blocked_rows=0.1,
    safety_rows=0.1, repeated_rows=0.2, corrupt_rows=0.1, shards=2,
)  # fmt: skip


@dataclass
class HouseOnPostgres(House):
    """A house whose ledger is a PostgreSQL database."""

    ledger_url: str = ""

    def environ(self) -> dict[str, str]:
        """Return what a producer of this house has in its environment."""
        return {**super().environ(), "VERTEXQ_LEDGER_URL": self.ledger_url}


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_sums_hold_whatever_happens(house: House, rounds: int, seed: int) -> None:
    """Three batches, every kind of row, hints doubled and shuffled, chunks of seven rows."""
    wild = house.with_options(
        retry_rounds=rounds,
        retry_wait_s=0.01,
        batch_rows=20,
        chunk_rows=7,
        range_bytes=5_000,
        output_wait_s=0.0,
    )
    wild.simulator.behaviours.set(EVERYTHING)
    with wild.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await wild.muddled(Random(seed)).until_rest("one")

    assert status.state is SubmissionState.DONE
    assert max(batch.round for batch in batches_of(wild, "one")) <= rounds
    check_sums(wild, "one")


async def test_every_store_of_a_submission_gets_the_rows_that_are_absent(house: House) -> None:
    """Also those of later rounds; all of them hold the same keys with the same outcomes."""
    wild = house.with_options(retry_rounds=1, retry_wait_s=0.01, chunk_rows=7)
    wild.simulator.behaviours.set(EVERYTHING)
    with wild.client() as client:
        client.submit(PROMPTS, model=MODEL, store=["results", "lines"], id="one")
        await wild.until_rest("one")
        found = [
            {one.key: one.outcome for one in client.results("one", store=name)}
            for name in ("results", "lines")
        ]

    assert found[0] == found[1]
    assert len(found[0]) == len(PROMPTS)
    check_sums(wild, "one")


async def test_google_may_count_what_it_has_not_written(house: House) -> None:
    """The batch says so in words; the rows run again, and are missing when they never come."""
    brief = house.with_options(retry_rounds=1, retry_wait_s=0.01, output_wait_s=0.0)
    brief.simulator.behaviours.set(Behaviour(unwritten_rows=0.5))
    with brief.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await brief.until_rest("one")

    first, second = batches_of(brief, "one")
    assert first.reason == f"Google counts 60 answers, its output holds {60 - second.rows}"
    assert status.differences == (f"{first.id}: {first.reason}", f"{second.id}: {second.reason}")
    assert 0 < status.counts.missing < second.rows
    check_sums(brief, "one")


async def test_when_google_counts_as_its_output_does_nothing_is_said(house: House) -> None:
    """Rows that it does not count either, repeated lines and unreadable ones are no difference."""
    house.simulator.behaviours.set(Behaviour(missing_rows=0.2, repeated_rows=0.4, corrupt_rows=0.2))
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        status = await house.until_rest("one")

    assert status.differences == ()
    check_sums(house, "one")


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(fail_code=13, fail_at=0.4),
        Behaviour(fail_code=3, fail_at=0.4),
        Behaviour(export_denied=True),
        Behaviour(expires=True),
        Behaviour(partial=True, missing_rows=0.3),
    ],
    ids=["internal", "invalid", "no export", "expired", "partial"],
)
async def test_jobs_that_end_badly_have_their_rows_accounted_for(house: House, behaviour: Behaviour) -> None:
    """What they wrote is in the store, the rest is named, with rounds and without."""
    for name, rounds in (("without", 0), ("with", 1)):
        one = house.with_options(retry_rounds=rounds, retry_wait_s=0.01, output_wait_s=0.0)
        one.simulator.behaviours.set(behaviour)
        with one.client() as client:
            client.submit(PROMPTS, model=MODEL, store="results", id=name)
            status = await one.until_rest(name)

        assert status.ended
        check_sums(one, name)


async def test_settling_that_broke_off_names_each_row_once(house: House) -> None:
    """The manifest cannot be read to its end at first: what was written is not written again."""
    house.simulator.behaviours.set(Behaviour(missing_rows=0.5))
    brief = house.with_options(chunk_rows=5)
    with brief.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await brief.until(lambda: states_of(brief, "one")[BatchState.INGESTED] == 1)
        fault = Fault(
            method="storage.objects.download", action=Action.CUT, match="manifest", after_bytes=900, times=2
        )
        brief.simulator.faults.add(fault)
        await steps.settle(brief.services, "one")
        status = await brief.until_rest("one")

    assert status.counts.missing > 0
    check_sums(brief, "one")


async def test_an_account_that_was_closed_twice_is_the_same(house: House) -> None:
    """Rows that were named as missing are in the ledger's account of their batch, too."""
    house.simulator.behaviours.set(Behaviour(missing_rows=0.3, bad_rows=0.3))
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        first = await house.until_rest("one")
        house.simulator.behaviours.set(Behaviour(missing_rows=1.0))
        client.retry("one", outcomes=["failed", "missing"])
        again = await house.until_rest("one")

    assert first.counts == again.counts
    check_sums(house, "one")


async def test_rounds_on_postgresql(house: House, postgres_url: str) -> None:
    """The ledger for several machines keeps the same account."""
    ledger = Ledger.open(postgres_url)
    there = HouseOnPostgres(
        house.home, house.simulator, replace(house.services, ledger=ledger), house.letters, postgres_url
    ).with_options(retry_rounds=2, retry_wait_s=0.01, batch_rows=20)
    there.simulator.behaviours.set(EVERYTHING)
    with closing(ledger), there.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id="one")
        await until_first_round(there, "one")
        there.simulator.behaviours.clear()
        await there.until_rest("one")
        client.retry("one", outcomes=["failed", "blocked"])
        status = await there.until_rest("one")

        assert status.counts.succeeded == len(PROMPTS)
        check_sums(there, "one")
