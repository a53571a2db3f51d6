"""Money in the ledger: caps and budgets hold under races, and every sum is made of the same batches."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from multiprocessing.pool import Pool

import pytest

from tests.contract.ledger_values import LONG_S, new_batch, staging
from tests.contract.racing import at_once
from vertexq.ledger import Bounds, Held, HeldBy, Ledger, NewBatch, Record
from vertexq.model import PUSD_PER_USD, Batch, Estimate, Usage
from vertexq.states import BatchState as B
from vertexq.states import JobState
from vertexq.testing.batches import enter_batches

USD = PUSD_PER_USD
ROOM = Bounds(jobs=1_000)


@pytest.fixture(scope="module")
def eight() -> Iterator[Pool]:
    """Start eight processes that race against one another."""
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        yield pool


def priced_batch(ordinal: int, *, usd: float | None = 1, location: str = "us-central1") -> NewBatch:
    """Return a batch that may cost so much."""
    cost_pusd = None if usd is None else round(usd * USD)
    estimate = Estimate(rows=2, input_tokens=10, output_tokens=10, cost_pusd=cost_pusd)
    return replace(new_batch(ordinal, location=location), estimate=estimate)


def ready(ledger: Ledger, *new: NewBatch) -> list[Batch]:
    """Enter batches of one submission as ready to be sent."""
    submission, claim = staging(ledger)
    enter_batches(ledger, submission, new, claim=claim)
    return ledger.batches("s-1")


def send(ledger: Ledger, batch: Batch, bounds: Bounds) -> Batch | Held:
    """Try to send a batch within some bounds."""
    claim = ledger.claim(Record.BATCH, batch.id, owner="worker", lease_s=LONG_S)
    assert claim is not None
    sent = ledger.start_sending(batch, claim=claim, output_prefix="gs://b/out", bounds=bounds)
    ledger.release(claim)
    return sent


def _send_alone(given: tuple[str, int, Bounds]) -> Batch | Held:
    url, number, bounds = given
    ledger = Ledger.open(url)
    sent = send(ledger, ledger.batches("s-1")[number], bounds)
    ledger.close()
    return sent


def ended(ledger: Ledger, sent: Batch | Held, *, cost_usd: float, to: B = B.INGESTED) -> Batch:
    """Take a sent batch to its end, with what its answers cost."""
    assert isinstance(sent, Batch)
    batch = ledger.move_batch(sent, B.BOUND, job_name=f"projects/1/locations/l/batchPredictionJobs/{sent.id}")
    batch = ledger.move_batch(batch, B.ENDED, job_state=JobState.CANCELLED)
    batch = ledger.update_batch(batch, cost_pusd=round(cost_usd * USD))
    return ledger.move_batch(batch, to) if to is not B.ENDED else batch


@pytest.mark.parametrize("bound", ["daily_pusd", "budget_pusd"])
def test_eight_processes_never_spend_more_than_they_may(
    ledger: Ledger, ledger_url: str, eight: Pool, bound: str
) -> None:
    """Sixteen batches of 1 USD in two locations race for 5.50 USD: five are sent, all others are told why."""
    ready(ledger, *(priced_batch(n, location=("us-central1", "europe-west4")[n % 2]) for n in range(16)))
    most = 5 * USD + USD // 2
    bounds = replace(ROOM, daily_pusd=most) if bound == "daily_pusd" else replace(ROOM, budget_pusd=most)

    answers = eight.map(_send_alone, [(ledger_url, number, bounds) for number in range(16)], chunksize=1)

    assert sum(isinstance(one, Batch) for one in answers) == 5
    assert ledger.spent_today("p") == 5 * USD
    refused = [one for one in answers if isinstance(one, Held)]
    by = HeldBy.DAILY_CAP if bound == "daily_pusd" else HeldBy.BUDGET
    assert {(one.by, one.taken, one.wanted) for one in refused} == {(by, 5 * USD, USD)}


def test_threads_of_unlike_batches_stay_below_the_cap(ledger: Ledger, ledger_url: str) -> None:
    """Whatever order they come in, the sum of the estimates never passes the bound."""
    sizes = (3.0, 0.5, 2.0, 1.0, 0.25, 4.0, 1.5, 0.75)
    batches = ready(ledger, *(priced_batch(number, usd=usd) for number, usd in enumerate(sizes)))
    ledgers = [Ledger.open(ledger_url) for _ in batches]

    sent = at_once(8, lambda n: send(ledgers[n], batches[n], replace(ROOM, daily_pusd=6 * USD)))
    for one in ledgers:
        one.close()

    total = sum(sizes[n] for n, one in enumerate(sent) if isinstance(one, Batch))
    assert total <= 6
    assert ledger.spent_today("p") == round(total * USD)


def test_a_batch_counts_by_estimate_until_its_answers_are_counted(ledger: Ledger) -> None:
    """Then by what it cost, and the room that it did not use is free again."""
    first, second = ready(ledger, priced_batch(0), priced_batch(1))
    cap = replace(ROOM, daily_pusd=USD + USD // 2)
    sent = send(ledger, first, cap)
    assert send(ledger, second, cap) == Held(by=HeldBy.DAILY_CAP, taken=USD, wanted=USD, bound=USD * 3 // 2)

    ended(ledger, sent, cost_usd=0.25)

    assert isinstance(send(ledger, second, cap), Batch)
    assert ledger.spent_today("p") == USD // 4 + USD


def test_an_estimate_that_was_too_low_holds_no_more(ledger: Ledger) -> None:
    """What has been counted already is more than the estimate: it counts, also before the end."""
    (batch,) = ready(ledger, priced_batch(0))

    ended(ledger, send(ledger, batch, ROOM), cost_usd=3, to=B.ENDED)

    assert ledger.spent_today("p") == 3 * USD


@pytest.mark.parametrize("state", [B.REFUSED, B.LOST])
def test_a_job_that_never_was_is_free_and_one_that_got_lost_is_not(ledger: Ledger, state: B) -> None:
    """Nobody knows what a lost job has cost, so its estimate goes on counting."""
    (batch,) = ready(ledger, priced_batch(0))
    sent = send(ledger, batch, ROOM)
    assert isinstance(sent, Batch)
    if state is B.LOST:
        sent = ledger.move_batch(sent, B.BOUND, job_name="projects/1/locations/l/batchPredictionJobs/1")

    ledger.move_batch(sent, state)

    assert ledger.spent_today("p") == (USD if state is B.LOST else 0)


def test_a_model_without_a_price_runs_unless_a_budget_asks_what_it_costs(ledger: Ledger) -> None:
    """A budget that cannot be checked is in the way; a cap counts it as nothing."""
    (batch,) = ready(ledger, priced_batch(0, usd=None))

    refused = send(ledger, batch, replace(ROOM, budget_pusd=USD))

    assert refused == Held(by=HeldBy.BUDGET, taken=0, wanted=0, bound=USD)
    assert isinstance(send(ledger, batch, replace(ROOM, daily_pusd=USD)), Batch)


def test_projects_have_caps_of_their_own(ledger: Ledger) -> None:
    """What another project spends does not count."""
    other = replace(priced_batch(1), project="q")
    first, second = ready(ledger, priced_batch(0), other)
    cap = replace(ROOM, daily_pusd=USD)

    assert isinstance(send(ledger, first, cap), Batch)
    assert isinstance(send(ledger, second, cap), Batch)
    assert (ledger.spent_today("p"), ledger.spent_today("q"), ledger.spent_today("r")) == (USD, USD, 0)


def test_spending_is_told_by_day_project_model_and_tenant(ledger: Ledger) -> None:
    """Jobs of one group are one line; what was never sent is in none."""
    new = [priced_batch(0), priced_batch(1), replace(priced_batch(2), tenant="search"), priced_batch(3)]
    batches = ready(ledger, *new)
    sent = [send(ledger, batch, ROOM) for batch in batches[:3]]
    ended(ledger, sent[0], cost_usd=0.5)

    found = ledger.spending(since=ledger.now() - timedelta(days=1))

    assert [(one.tenant, one.jobs, one.rows, one.counted_pusd) for one in found] == [
        ("", 2, 4, USD * 3 // 2),
        ("search", 1, 2, USD),
    ]
    assert (found[0].estimate_pusd, found[0].cost_pusd) == (2 * USD, USD // 2)
    assert {(one.day, one.project, one.model) for one in found} == {
        (ledger.now().date(), "p", "gemini-2.5-flash")
    }
    assert ledger.spending(since=ledger.now() + timedelta(seconds=60)) == []


@pytest.mark.parametrize("usage", [Usage(total_tokens=9, unpriced_tokens=9), Usage()], ids=["text", "images"])
def test_an_unknown_part_makes_a_sum_unknown(ledger: Ledger, usage: Usage) -> None:
    """A total that leaves something out must not look like a total, also where no tokens are counted."""
    first, second = ready(ledger, priced_batch(0, usd=None), priced_batch(1))
    done = ended(ledger, send(ledger, first, ROOM), cost_usd=0, to=B.ENDED)
    ledger.update_batch(done, usage=usage)
    send(ledger, second, ROOM)

    (found,) = ledger.spending(since=ledger.now() - timedelta(days=1))

    assert (found.jobs, found.estimate_pusd, found.cost_pusd, found.counted_pusd) == (2, None, None, USD)
