"""Families with a number of jobs of their own: it holds for a project, wherever jobs run, whoever races."""

from __future__ import annotations

from sqlalchemy import update

from tests.contract.ledger_values import LONG_S, new_batch, staging
from tests.contract.racing import at_once
from vertexq.ledger import Bounds, Held, Ledger, Record
from vertexq.ledger.engine import open_engine
from vertexq.ledger.schema import batches
from vertexq.model import Batch
from vertexq.states import BATCH_ACTIVE
from vertexq.states import BatchState as B
from vertexq.testing.batches import enter_batches

ALONE = Bounds(jobs=8, family_jobs={"text-embedding": 1})
PLACES = ("europe-west4", "us-central1")


def waiting(ledger: Ledger, url: str, *, each: int, family: str = "text-embedding") -> list[Batch]:
    """Let batches of one family wait in two locations of one project."""
    submission, claim = staging(ledger)
    new = [
        new_batch(number, family=family, location=PLACES[number % len(PLACES)])
        for number in range(each * len(PLACES))
    ]
    enter_batches(ledger, submission, new, claim=claim)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(update(batches).values(next_action_at=None))
    engine.dispose()
    return ledger.batches(submission.id)


def send(ledger: Ledger, batch: Batch) -> Batch | Held:
    """Try to commit the intent to send a batch."""
    claim = ledger.claim(Record.BATCH, batch.id, owner="worker", lease_s=LONG_S)
    assert claim is not None
    return ledger.start_sending(batch, claim=claim, output_prefix="gs://b/out", bounds=ALONE)


def test_one_batch_of_such_a_family_is_handed_out_in_a_project(ledger: Ledger, ledger_url: str) -> None:
    """Whichever location is asked for, all of them wait in one line; other families have their own slots."""
    waiting(ledger, ledger_url, each=2)

    handed_out = [ledger.hand_out("p", place, bounds=ALONE, shares={}) for place in PLACES]

    assert [len(ids) for ids in handed_out] == [1, 0]


def test_a_slot_that_is_free_goes_to_whoever_waits_elsewhere(ledger: Ledger, ledger_url: str) -> None:
    """Nothing waits in the location where a job has ended."""
    here, there = waiting(ledger, ledger_url, each=1)
    ledger.hand_out("p", here.location, bounds=ALONE, shares={})
    sent = send(ledger, ledger.batch(here.id))
    assert isinstance(sent, Batch)
    bound = ledger.move_batch(sent, B.BOUND, job_name="projects/1/locations/l/batchPredictionJobs/1")
    assert ledger.hand_out("p", here.location, bounds=ALONE, shares={}) == []

    ledger.move_batch(bound, B.ENDED)

    assert ledger.hand_out("p", here.location, bounds=ALONE, shares={}) == [there.id]


def test_dispatchers_in_several_locations_hand_out_one_batch(ledger: Ledger, ledger_url: str) -> None:
    """Eight at once, each with a ledger of its own, for two locations."""
    waiting(ledger, ledger_url, each=4)
    ledgers = [Ledger.open(ledger_url) for _ in range(8)]

    given = at_once(8, lambda n: ledgers[n].hand_out("p", PLACES[n % 2], bounds=ALONE, shares={}))
    for one in ledgers:
        one.close()

    assert sum(map(len, given)) == 1


def test_racing_workers_send_one_batch_of_such_a_family(ledger: Ledger, ledger_url: str) -> None:
    """Eight workers with a batch each in two locations: one job, and seven that are told why they wait."""
    ready = waiting(ledger, ledger_url, each=4)
    ledgers = [Ledger.open(ledger_url) for _ in ready]

    sent = at_once(8, lambda number: send(ledgers[number], ready[number]))
    for one in ledgers:
        one.close()

    assert sum(isinstance(one, Batch) for one in sent) == 1
    assert {(one.taken, one.bound) for one in sent if isinstance(one, Held)} == {(1, 1)}
    assert sum(one.state in BATCH_ACTIVE for one in ledger.batches("s-1")) == 1


def test_families_without_a_number_have_slots_in_each_location(ledger: Ledger, ledger_url: str) -> None:
    """The setting holds for a location, as before."""
    ready = waiting(ledger, ledger_url, each=2, family="gemini")

    assert all(isinstance(send(ledger, one), Batch) for one in ready)
